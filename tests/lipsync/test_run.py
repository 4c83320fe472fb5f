import gc
import random
import shutil
import wave
import weakref
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import (
    Detection,
    Diff2LipPipeline,
    Diff2LipPipelineOutput,
    FaceBox,
    SyncOptions,
    sync_video,
)
from diff2lip_diffusers.errors import AudioTooShortError, FaceNotFoundError, MediaError, NoAudioError
from diff2lip_diffusers.faces.search import DEFAULT_BATCH_SIZE, DEFAULT_STRIDE
from diff2lip_diffusers.faces.smoothing import LOOK_AHEAD_FRAMES
from diff2lip_diffusers.lipsync import frame_writing, job, source_video
from diff2lip_diffusers.lipsync.compositing import apply_patch, resize_image, whole_patch
from diff2lip_diffusers.media.frame import Frame
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter
from diff2lip_diffusers.schedulers import original_scheduler

RECORDED = np.load(Path(__file__).parents[1] / "data" / "pipeline.npz")
RECORDED_MODES = {
    "cross": {},
    "reconstruction": {"mode": "reconstruction"},
    "random": {"mode": "random"},
    "voxceleb2": {"voxceleb2_crop": True},
}
RECORDED_OPTIONS = {"reproduce": True, "seed": 7, "num_inference_steps": 5, "pads": (0, 6, 2, 2)}
NTSC = Fraction(30000, 1001)
SIDE_PX, BOX = 96, FaceBox(24, 24, 72, 76)
PAINTED = slice(50, 76), slice(24, 72)
NEAR_PAINTED = slice(48, 78), slice(22, 74)  # a chroma sample reaches two pixels further
MARK = slice(0, 12), slice(84, 96)


# Against the recorded outputs of the original


def kept_indices(mode: str) -> list[int]:
    """The numbers of the frames in `output_frames`."""
    return RECORDED["output_frame_indices"].tolist()[: len(RECORDED[f"{mode}.output_frames"])]


def recorded_boxes(mode: str) -> list[FaceBox]:
    """Where the original pasted; its reconstruction repeats the first frame."""
    boxes = [FaceBox(x1, y1, x2, y2) for y1, y2, x1, x2 in RECORDED[f"{mode}.boxes_y1y2x1x2"].tolist()]
    return boxes[:1] * 13 if mode == "reconstruction" else boxes


def recorded_detector(mode: str):
    """A detector that knows the recorded frames by heart."""
    boxes = [FaceBox(*row) for row in RECORDED[f"{mode}.boxes_raw_xyxy"].tolist()]
    known = {frame.tobytes(): box for frame, box in zip(RECORDED["frames"], boxes, strict=True)}
    return lambda frames: [[Detection(known[frame.tobytes()], 1.0)] for frame in frames]


class PaintsKeptFrames(Diff2LipPipeline):
    """Paints only the `kept` frames of a job, to save time: frames do not depend on each other."""

    kept: Sequence[int] = ()
    position = 0

    def __call__(self, frames, mel_windows, **arguments):
        inside = [index - self.position for index in self.kept if 0 <= index - self.position < len(frames)]
        self.position += len(frames)
        output = frames / np.float32(255)
        if inside:
            arguments["reference_frames"] = arguments["reference_frames"][inside]
            arguments["generator"] = [arguments["generator"][index] for index in inside]
            output[inside] = super().__call__(frames[inside], mel_windows=mel_windows[inside], **arguments).frames
        return Diff2LipPipelineOutput(frames=output)


@pytest.fixture(scope="module")
def recorded_clip(tmp_path_factory) -> tuple[Path, Path]:
    """The recorded input: a video without loss, and its sound."""
    folder = tmp_path_factory.mktemp("recorded")
    with av.open(str(folder / "face.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25, width=216, height=216, pix_fmt="bgr0")
        for frame in RECORDED["frames"]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    return folder / "face.mkv", write_wav(folder / "speech.wav", RECORDED["wav"])


@pytest.mark.parametrize("mode", RECORDED_MODES)
def test_painting_and_pasting_recorded_crops_gives_the_originals_frames(tiny_pipe, mode):
    kept, crops, boxes = kept_indices(mode), RECORDED[f"{mode}.crops"], recorded_boxes(mode)
    sources = [0] * len(kept) if mode == "reconstruction" else kept
    mel = tiny_pipe.feature_extractor.mel_spectrogram(RECORDED["wav"])
    faces = tiny_pipe(
        crops[sources],
        mel_windows=tiny_pipe.feature_extractor.windows(mel, kept, 25),
        reference_frames=crops[random.Random(7).randint(0, 12)] if mode == "random" else None,
        num_inference_steps=5,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).frames
    differences = []
    for face, source, output in zip(faces, sources, RECORDED[f"{mode}.output_frames"].astype(int), strict=True):
        box = boxes[source]
        pasted = apply_patch(RECORDED["frames"][source], whole_patch(box, frame_writing._truncated(face)))
        differences.append(np.abs(pasted - output)[box.y1 + box.height // 2 : box.y2, box.x1 : box.x2].ravel())
    assert (np.concatenate(differences) <= 2).mean() > 0.999


@pytest.mark.parametrize("mode", RECORDED_MODES)
def test_the_whole_program_gives_the_originals_frames(tmp_path, tiny_pipe, recorded_clip, to_writer, mode):
    video, audio = recorded_clip
    pipe = PaintsKeptFrames(**tiny_pipe.components)
    pipe.kept = kept_indices(mode)[-2:]
    detector = recorded_detector("cross" if mode == "voxceleb2" else mode)
    options = RECORDED_OPTIONS | RECORDED_MODES[mode] | {"detector": detector}
    result = sync_video(pipe, video, audio, tmp_path / "out.mp4", **options)

    assert (result.num_frames, result.num_faceless_frames, result.fps) == (13, 0, 25)
    assert result.duration_s == 13 / 25
    differences = []
    boxes = recorded_boxes(mode)
    for index, output in zip(pipe.kept, RECORDED[f"{mode}.output_frames"][-2:].astype(int), strict=True):
        difference, box = np.abs(to_writer[index] - output), boxes[index]
        differences.append(difference[box.y1 : box.y2, box.x1 : box.x2].ravel())
        difference[box.y1 : box.y2, box.x1 : box.x2] = 0
        assert difference.max() == 0
    differences = np.concatenate(differences)
    assert (differences <= 2).mean() > 0.97
    assert (differences <= 8).mean() > 0.995


def test_reproduce_mode_writes_the_originals_kind_of_sound(tmp_path, quick_pipe, recorded_clip):
    video, audio = recorded_clip
    out = tmp_path / "out.mp4"
    sync_video(quick_pipe, video, audio, out, reproduce=True, voxceleb2_crop=True, num_inference_steps=1)
    with av.open(str(out)) as container:
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.rate, sound.channels) == ("aac", 16000, 1)
    samples, _ = read_audio(out)
    expected = RECORDED["cross.output_audio"][0]
    assert abs(len(samples) - len(expected)) / 16000 <= 1 / 25
    shared = min(len(samples), len(expected))
    assert np.corrcoef(samples[:shared], expected[:shared])[0, 1] > 0.95


@pytest.mark.parametrize("audio_s, frames", [(0.2, 2), (0.48, 9), (1.0, 12)])
def test_reproduce_mode_drops_frames_without_a_complete_audio_window(tmp_path, quick_pipe, audio_s, frames):
    """Mel steps M = 1 + T // 200; frame n needs steps up to int(3.2 (n - 1)) + 16."""
    video = write_clip(tmp_path / "face.mp4", 12)
    audio = write_wav(tmp_path / "speech.wav", speech(audio_s))
    out = tmp_path / "out.mp4"
    steps = 1 + round(audio_s * 16000) // 200
    assert frames == sum(int(3.2 * max(n - 1, 0)) + 16 <= steps for n in range(12))
    result = sync_video(quick_pipe, video, audio, out, reproduce=True, voxceleb2_crop=True, num_inference_steps=1)
    assert result.num_frames == frames


def test_reproduce_mode_resamples_to_25_frames_a_second(tmp_path, quick_pipe):
    video = write_clip(tmp_path / "face.mp4", 24, fps=50)
    audio = write_wav(tmp_path / "speech.wav", speech(1))
    options = {"reproduce": True, "voxceleb2_crop": True, "num_inference_steps": 1}
    result = sync_video(quick_pipe, video, audio, tmp_path / "out.mp4", **options)
    assert (result.fps, result.num_frames) == (25, 12)


# Small clips


def speech(seconds: float, rate: int = 16000) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * 180 * time_s) * np.sin(2 * np.pi * 2.5 * time_s)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples * 32768).astype("<i2").tobytes())
    return path


def picture(index: int, face: bool = True, side: int = SIDE_PX) -> np.ndarray:
    """A slowly changing picture whose upper right corner says whether it counts as one with a face."""
    rows, columns = np.mgrid[0:side, 0:side]
    waves = [128 + 80 * np.sin((columns + 2 * index) / 17 + k) * np.cos(rows / 23 + k) for k in range(3)]
    frame = np.stack(waves, axis=-1).astype(np.uint8)
    frame[MARK] = 235 if face else 20
    return frame


def detect_marked(frames) -> list[list[Detection]]:
    return [[Detection(BOX, 1.0)] if frame[MARK].mean() > 128 else [] for frame in frames]


def write_clip(path: Path, count: int, fps=25, faceless: Sequence[int] = (), audio: Path | None = None) -> Path:
    with VideoWriter(path, width=SIDE_PX, height=SIDE_PX, fps=fps, audio=audio, crf=8) as writer:
        for index in range(count):
            writer.write(picture(index, index not in faceless))
    return path


def durations_s(path: Path) -> tuple[float, float]:
    """Of pictures and sound, counted from what can be decoded."""
    samples, rate = read_audio(path)
    return sum(1 for _ in read_rgb(path)) / float(probe_video(path).fps), len(samples) / rate


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.square(first.astype(float) - second).mean())


def listing(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, also what is hidden."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def quick_components() -> dict:
    """The released architecture at 16 pixels: a frame and step in 20 ms."""
    return untrained_pipeline(sample_size=16).components


@pytest.fixture
def quick_pipe(quick_components) -> Diff2LipPipeline:
    pipe = Diff2LipPipeline(**quick_components | {"scheduler": original_scheduler()})
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture
def to_writer(monkeypatch) -> list[np.ndarray]:
    """The frames that the job hands to its video writer, before any loss."""
    written = []

    class Recorder(VideoWriter):
        def write(self, picture):
            written.append(picture.rgb())
            super().write(picture)

    monkeypatch.setattr(job, "VideoWriter", Recorder)
    return written


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder / "face.mp4", 14)
    write_wav(folder / "speech.wav", speech(0.56))
    return folder


@pytest.fixture
def clip(tmp_path, clip_folder) -> tuple[Path, Path]:
    """A video of 14 frames and a recording of its length, in a folder of their own."""
    folder = Path(shutil.copytree(clip_folder, tmp_path / "in"))
    return folder / "face.mp4", folder / "speech.wav"


@pytest.mark.parametrize("fps", [Fraction(25), NTSC])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_every_frame_and_the_sound_come_out_in_step(tmp_path, quick_pipe, to_writer, fps, suffix):
    count = 20
    video = write_clip(tmp_path / "face.mp4", count, fps)
    audio = write_wav(tmp_path / "speech.wav", speech(2, 22050), 22050)
    out = tmp_path / f"out{suffix}"
    progress = []
    result = sync_video(
        quick_pipe, video, audio, out, on_progress=lambda *at: progress.append(at), box=BOX, num_inference_steps=1
    )
    assert (result.output, result.num_frames, result.num_faceless_frames) == (out, count, 0)
    assert result.fps == probe_video(out).fps == fps
    assert result.duration_s == pytest.approx(count / float(fps))
    assert progress == [(done, count) for done in range(1, count + 1)]
    frames_s, sound_s = durations_s(out)
    assert frames_s == pytest.approx(count / float(fps))
    assert abs(sound_s - frames_s) <= 1 / float(fps)

    sources, outputs = list(read_rgb(video)), list(read_rgb(out))
    outside = np.ones((SIDE_PX, SIDE_PX), bool)
    outside[NEAR_PAINTED] = False
    for source, exact, output in zip(sources, to_writer, outputs, strict=True):
        np.testing.assert_array_equal(exact[outside], source[outside])
        outside_far = outside & ~dilated(~outside, 8)  # the codec's blocks smear the painted noise
        assert psnr(output[outside_far], source[outside_far]) > 38
        assert psnr(exact[PAINTED], source[PAINTED]) < 30


def dilated(mask: np.ndarray, pixels: int) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    result = np.zeros_like(mask)
    result[rows.min() - pixels : rows.max() + 1 + pixels, columns.min() - pixels : columns.max() + 1 + pixels] = True
    return result


def test_another_frame_rate_can_be_chosen(tmp_path, quick_pipe, clip):
    result = sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX, num_inference_steps=1, fps=50)
    assert (result.fps, result.num_frames) == (50, 28)
    assert probe_video(tmp_path / "out.mp4").fps == 50


def test_the_mouth_follows_the_sound_at_the_right_time(tmp_path, quick_pipe, to_writer):
    """Two recordings that differ from 0.4 s on give the same frames as long as the windows of 0.2 s do not see it."""
    video = write_clip(tmp_path / "face.mp4", 16)
    for samples in (speech(1), np.concatenate([speech(0.4), 0.5 * np.cos(np.arange(9600))])):
        write_wav(tmp_path / "speech.wav", samples)
        sync_video(quick_pipe, video, tmp_path / "speech.wav", tmp_path / "out.mp4", box=BOX, num_inference_steps=1)
    first, second = to_writer[:16], to_writer[16:]
    same = [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]
    # Frame n sees 0.04 (n - 1) ... + 0.2 s, and a Fourier transform reaches 25 ms further.
    assert same[:5] == [True] * 5
    assert same[7:] == [False] * 9


@pytest.mark.parametrize("frames", [5, 7, 14, 21])
def test_frames_beyond_the_end_of_the_speech_are_untouched(tmp_path, quick_pipe, to_writer, frames):
    video = write_clip(tmp_path / "face.mp4", 24)
    audio = write_wav(tmp_path / "speech.wav", speech(frames / 25))
    result = sync_video(quick_pipe, video, audio, tmp_path / "out.mp4", box=BOX, num_inference_steps=1)
    untouched = [np.array_equal(*pair) for pair in zip(to_writer, read_rgb(video), strict=True)]
    assert untouched == [False] * frames + [True] * (24 - frames)
    assert (result.num_frames, result.num_faceless_frames) == (24, 0)
    frames_s, sound_s = durations_s(tmp_path / "out.mp4")
    assert abs(frames_s - sound_s) <= 1 / 25


def test_the_videos_own_sound_is_the_default(tmp_path, quick_pipe, to_writer, clip):
    video = write_clip(tmp_path / "face.mkv", 14, audio=clip[1])
    quiet = write_clip(tmp_path / "silent.mkv", 14)
    options = {"box": BOX, "num_inference_steps": 1}
    sync_video(quick_pipe, video, None, tmp_path / "own.mkv", **options)
    sync_video(quick_pipe, video, video, tmp_path / "named.mkv", **options)
    np.testing.assert_array_equal(to_writer[:14], to_writer[14:])
    assert not np.array_equal(to_writer[3], list(read_rgb(video))[3])
    before = listing(tmp_path)
    with pytest.raises(NoAudioError, match="silent.mkv"):
        sync_video(quick_pipe, quiet, None, tmp_path / "out.mkv", **options)
    assert listing(tmp_path) == before


# Faces that come and go


def test_faceless_frames_pass_through_and_short_gaps_are_bridged(tmp_path, quick_pipe, to_writer, clip):
    faceless = [0, 1, 6, 7, *range(12, 19)]  # at the start; a short gap; a long one
    video = write_clip(tmp_path / "face.mp4", 24, faceless=faceless)
    audio = write_wav(tmp_path / "speech.wav", speech(1))
    result = sync_video(quick_pipe, video, audio, tmp_path / "out.mp4", detector=detect_marked, num_inference_steps=1)
    untouched = [np.array_equal(*pair) for pair in zip(to_writer, read_rgb(video), strict=True)]
    assert [index for index, same in enumerate(untouched) if same] == [0, 1, *range(12, 19)]
    assert (result.num_frames, result.num_faceless_frames) == (24, 9)


@pytest.mark.parametrize("options", [{}, {"mode": "reconstruction"}, {"reproduce": True}])
def test_a_video_without_any_face_leaves_nothing(tmp_path, quick_pipe, clip, options):
    video = write_clip(tmp_path / "in" / "empty.mp4", 9, faceless=range(9))
    before = listing(tmp_path)
    with pytest.raises(FaceNotFoundError) as caught:
        sync_video(quick_pipe, video, clip[1], tmp_path / "out.mp4", detector=detect_marked, **options)
    assert caught.value.frame_index == (0 if options else None)
    assert listing(tmp_path) == before


def test_reproduce_mode_stops_at_a_frame_without_a_face(tmp_path, quick_pipe, clip):
    video = write_clip(tmp_path / "in" / "gap.mp4", 14, faceless=[6])
    before = listing(tmp_path)
    options = {"reproduce": True, "detector": detect_marked, "num_inference_steps": 1, "batch_size": 1}
    with pytest.raises(FaceNotFoundError, match="frame 6") as caught:
        sync_video(quick_pipe, video, clip[1], tmp_path / "out.mp4", **options)
    assert caught.value.frame_index == 6
    assert listing(tmp_path) == before


def test_reproduce_mode_stops_at_a_face_outside_the_frame(tmp_path, quick_pipe, clip):
    before = listing(tmp_path)
    options = {"reproduce": True, "detector": detect_marked, "num_inference_steps": 1, "pads": (0, -50, 0, 0)}
    with pytest.raises(FaceNotFoundError) as caught:
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", **options)
    assert caught.value.frame_index == 0
    assert listing(tmp_path) == before


def test_reproduce_mode_takes_the_first_face_of_the_detector(tmp_path, quick_pipe, to_writer, clip):
    second = Detection(FaceBox(0, 0, 96, 96), 1.0)
    options = {"reproduce": True, "num_inference_steps": 1}
    for detector in (detect_marked, lambda frames: [[*found, second] for found in detect_marked(frames)]):
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", detector=detector, **options)
    half = len(to_writer) // 2
    np.testing.assert_array_equal(to_writer[:half], to_writer[half:])


def test_the_random_reference_needs_a_face(tmp_path, quick_pipe, clip):
    drawn = random.Random(7).randint(0, 13)
    video = write_clip(tmp_path / "in" / "gap.mp4", 14, faceless=range(max(0, drawn - 8), 14))
    with pytest.raises(FaceNotFoundError, match=f"frame {drawn}"):
        sync_video(quick_pipe, video, clip[1], tmp_path / "out.mp4", detector=detect_marked, mode="random")
    assert not (tmp_path / "out.mp4").exists()


def test_the_reference_is_the_frame_that_the_seed_draws(tmp_path, quick_pipe, clip, monkeypatch):
    seen = []
    paint = Diff2LipPipeline.__call__

    def recording(self, frames, *args, reference_frames=None, **kwargs):
        seen.append(reference_frames)
        return paint(self, frames, *args, reference_frames=reference_frames, **kwargs)

    monkeypatch.setattr(Diff2LipPipeline, "__call__", recording)
    sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX, mode="random", seed=3, num_inference_steps=1)
    frame = list(read_rgb(clip[0]))[random.Random(3).randint(0, 13)]
    for reference in np.concatenate(seen):
        np.testing.assert_array_equal(reference, resize_image(frame[BOX.y1 : BOX.y2, BOX.x1 : BOX.x2], 16, 16))


def test_reconstruction_repeats_the_first_frame(tmp_path, quick_pipe, to_writer, clip):
    sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX, mode="reconstruction", num_inference_steps=1)
    first = next(read_rgb(clip[0]))
    assert len(to_writer) == 14
    for frame in to_writer:
        frame[NEAR_PAINTED] = first[NEAR_PAINTED]
        np.testing.assert_array_equal(frame, first)


# Mistakes


@pytest.mark.parametrize("have_s", [0.0, 0.1, 0.199])
def test_too_little_sound(tmp_path, quick_pipe, clip, have_s):
    audio = write_wav(tmp_path / "in" / "short.wav", speech(max(have_s, 0.01)))
    before = listing(tmp_path)
    with pytest.raises(AudioTooShortError) as caught:
        sync_video(quick_pipe, clip[0], audio, tmp_path / "out.mp4", box=BOX)
    assert caught.value.need_s == 0.2 and caught.value.have_s == pytest.approx(max(have_s, 0.01), abs=1e-3)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "both"},
        {"num_inference_steps": 0},
        {"num_inference_steps": 1.5},
        {"batch_size": -1},
        {"batch_size": 2.5},
        {"fps": 0},
        {"fps": 1e-9},
        {"fps": 90000},
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"seed": 2**64},
        {"seed": -(2**64)},
        {"seed": 1.5},
        {"eta": 1.5},
        {"eta": float("nan")},
        {"crf": 52},
        {"crf": -1},
        {"seed": True},
        {"seed": None},
        {"fps": True},
        {"face": True},
        {"pads": (0, 0, 0, True)},
        {"pads": None},
        {"lossless": 1},
        {"box": 3},
        {"detections": 3},
        {"box": (0, 0, 5, 50)},
        {"box": (50, 50, 10, 10)},
        {"box": (1, 2, 3)},
        {"box": (0, 0, float("nan"), 50)},
        {"pads": (1, 2, 3)},
        {"detector": "eyes"},
    ],
    ids=str,
)
def test_options_out_of_range_are_named_before_any_work(tmp_path, quick_pipe, clip, options):
    progress, given = [], {"detector": detect_marked} | options
    before = listing(tmp_path)
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`") as caught:
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", on_progress=lambda *at: progress.append(at), **given)
    assert "\n" not in str(caught.value)
    assert not progress and listing(tmp_path) == before


def test_the_old_name_of_an_option_still_works(tmp_path, quick_pipe, clip):
    assert SyncOptions(quality=20) == SyncOptions(crf=20) != SyncOptions()
    for name, options in {"old": {"quality": 40}, "new": {"crf": 40}, "default": {}}.items():
        sync_video(quick_pipe, *clip, tmp_path / f"{name}.mp4", box=BOX, num_inference_steps=1, **options)
    old, new, default = ((tmp_path / f"{name}.mp4").read_bytes() for name in ("old", "new", "default"))
    assert old == new != default


def test_unknown_options_are_errors(tmp_path, quick_pipe, clip):
    with pytest.raises(TypeError, match="steps"):
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", steps=3)


def test_a_box_outside_the_picture_is_named(tmp_path, quick_pipe, clip):
    before = listing(tmp_path)
    with pytest.raises(ValueError, match="`box`.*96.*96"):
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=(200, 200, 300, 300))
    assert listing(tmp_path) == before


def test_a_box_that_sticks_out_is_cut(tmp_path, quick_pipe, to_writer, clip):
    result = sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=(-20, 40.4, 300, 300), num_inference_steps=1)
    assert (result.num_frames, result.num_faceless_frames) == (14, 0)
    np.testing.assert_array_equal(to_writer[0][:66], next(read_rgb(clip[0]))[:66])
    assert not np.array_equal(to_writer[0][68:], next(read_rgb(clip[0]))[68:])


def test_the_inputs_are_never_overwritten(tmp_path, quick_pipe, clip):
    before = listing(tmp_path)
    with pytest.raises(MediaError, match="input"):
        sync_video(quick_pipe, *clip, clip[0], box=BOX)
    assert listing(tmp_path) == before


# Interruptions


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, GeneratorExit])
@pytest.mark.parametrize("at", [1, 6])
def test_an_error_in_the_middle_leaves_nothing_and_touches_nothing(tmp_path, quick_pipe, clip, error, at):
    def stop(done, expected):
        if done == at:
            raise error

    quick_pipe.set_progress_bar_config(disable=False, desc="mine")
    (tmp_path / "old.mp4").write_bytes(b"precious")
    before = listing(tmp_path)
    for name in ("new.mp4", "old.mp4"):
        with pytest.raises(error):
            sync_video(quick_pipe, *clip, tmp_path / name, on_progress=stop, box=BOX, num_inference_steps=1)
        assert quick_pipe._progress_bar_config == {"disable": False, "desc": "mine"}
    assert listing(tmp_path) == before


def test_a_failing_detector_or_model_leaves_nothing(tmp_path, quick_pipe, clip, monkeypatch):
    def broken(*_args, **_kwargs):
        raise RuntimeError("broken")

    before = listing(tmp_path)
    with pytest.raises(RuntimeError, match="broken"):
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", detector=broken)
    monkeypatch.setattr(quick_pipe.unet, "forward", broken)
    with pytest.raises(RuntimeError, match="broken"):
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX)
    assert listing(tmp_path) == before


def test_a_finished_job_replaces_an_old_output_and_restores_the_pipeline(tmp_path, quick_pipe, clip, capfd):
    quick_pipe.set_progress_bar_config(disable=False, desc="mine")
    (tmp_path / "out.mp4").write_bytes(b"old")
    sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX, num_inference_steps=1)
    assert probe_video(tmp_path / "out.mp4").has_audio
    assert quick_pipe._progress_bar_config == {"disable": False, "desc": "mine"}
    assert sorted(listing(tmp_path)) == ["in", "in/face.mp4", "in/speech.wav", "out.mp4"]
    assert capfd.readouterr() == ("", "")


# What must not matter


@pytest.mark.parametrize(
    "scheduler, eta", [(None, 0.0), (None, 1.0), (EulerAncestralDiscreteScheduler, 0.0)], ids=["ddim", "eta", "euler"]
)
def test_the_batch_size_does_not_matter(tmp_path, quick_pipe, to_writer, clip, scheduler, eta):
    if scheduler:
        quick_pipe.scheduler = scheduler.from_config(quick_pipe.scheduler.config)
    video = write_clip(tmp_path / "face.mp4", 14, faceless=[0, 4, 13])
    options = {"detector": detect_marked, "num_inference_steps": 2, "eta": eta}
    for batch_size in (1, 3, 50):
        sync_video(quick_pipe, video, clip[1], tmp_path / "out.mp4", batch_size=batch_size, **options)
    runs = np.stack(to_writer).reshape(3, 14, SIDE_PX, SIDE_PX, 3).astype(int)
    # Sums of another order make differences of 1e-6, which turn a level of Y, U or V only where it is on the edge; one
    # level of U is two of blue.
    assert np.abs(runs - runs[0]).max() <= 2
    assert (runs != runs[0]).mean() < 1e-4


def test_all_frames_share_one_noise_image_and_the_seed_decides_it(tmp_path, quick_pipe, to_writer):
    """A still picture under silence stays still."""
    video, audio = tmp_path / "still.mp4", write_wav(tmp_path / "silence.wav", np.zeros(16000))
    with VideoWriter(video, width=SIDE_PX, height=SIDE_PX, fps=25, crf=0) as writer:
        for _ in range(8):
            writer.write(np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8))
    options = {"box": BOX, "num_inference_steps": 2, "batch_size": 3}
    for seed in (7, 7, 0, 8):
        sync_video(quick_pipe, video, audio, tmp_path / "out.mp4", seed=seed, **options)
    runs = np.stack(to_writer).reshape(4, 8, SIDE_PX, SIDE_PX, 3).astype(int)
    for run in runs:
        assert np.abs(run - run[0]).max() <= 1
    np.testing.assert_array_equal(runs[0], runs[1])
    assert all(np.abs(runs[0] - other).max() > 10 for other in runs[2:])


def test_the_global_random_state_neither_matters_nor_changes(tmp_path, quick_pipe, to_writer, clip):
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        sync_video(quick_pipe, *clip, tmp_path / "out.mp4", box=BOX, num_inference_steps=1, eta=1.0)
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(to_writer[:14], to_writer[14:])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"box": BOX},
        {"mode": "random"},
    ],
    ids=str,
)
def test_only_a_few_frames_are_alive_at_a_time(tmp_path, quick_pipe, clip, monkeypatch, options):
    alive, most = weakref.WeakValueDictionary(), 0

    def many_pictures(path, fps, start=0, max_pixels=None, hwaccel=None):
        for index in range(200):
            source = Frame.from_rgb(picture(index, face=index % 20 < 12 or bool(options)))
            alive[index] = source
            yield source

    class NoWriter(VideoWriter):
        def write(self, frame):
            nonlocal most
            most = max(most, len(alive))
            super().write(frame)

    audio = write_wav(tmp_path / "speech.wav", speech(2))
    monkeypatch.setattr(source_video, "read_frames", many_pictures)
    monkeypatch.setattr(job, "VideoWriter", NoWriter)
    gc.disable()  # nothing may wait for the collector of cycles
    try:
        result = sync_video(
            quick_pipe,
            clip[0],
            audio,
            tmp_path / "out.mp4",
            detector=detect_marked,
            num_inference_steps=1,
            batch_size=8,
            **options,
        )
    finally:
        gc.enable()
    assert result.num_frames == 200
    # A batch that is read ahead, one in work and one being encoded; the smoothing window; two blocks of the search.
    assert most <= 3 * 8 + LOOK_AHEAD_FRAMES + 2 * DEFAULT_STRIDE * DEFAULT_BATCH_SIZE + 4


@pytest.mark.parametrize("error", [MediaError("out.mp4", "disk full"), KeyboardInterrupt()], ids=["encoder", "caller"])
def test_an_error_ends_decoding_soon_and_removes_the_output(tmp_path, quick_pipe, clip, monkeypatch, error):
    decoded, begun = [], []

    def many_frames(path, fps, start=0, max_pixels=None, hwaccel=None):
        for index in range(start, 1000):
            decoded.append(index)
            yield Frame.from_rgb(picture(index))

    class FailingWriter(VideoWriter):
        def write(self, frame):
            begun.append(sorted(listing(tmp_path)) != before)
            super().write(frame)
            if isinstance(error, MediaError) and len(begun) == 3:
                raise error

    def stop(done, _expected):
        if done == 3 and isinstance(error, KeyboardInterrupt):
            raise error

    audio = write_wav(tmp_path / "speech.wav", speech(41))
    monkeypatch.setattr(source_video, "read_frames", many_frames)
    monkeypatch.setattr(job, "VideoWriter", FailingWriter)
    before = sorted(listing(tmp_path))
    with pytest.raises(type(error)) as caught:
        sync_video(
            quick_pipe, clip[0], audio, tmp_path / "out.mp4", stop, box=BOX, num_inference_steps=1, batch_size=2
        )
    assert caught.value is error
    assert len(decoded) < 30 and all(begun)
    assert sorted(listing(tmp_path)) == before


def test_options_are_frozen_and_know_their_defaults():
    assert SyncOptions() == SyncOptions(seed=7, eta=0.0, extend="pingpong", face="largest", mode="cross", mark=True)
    with pytest.raises(AttributeError):
        SyncOptions().seed = 3
