"""How long the result is, what it shows when, and that nothing drifts."""

from fractions import Fraction
from itertools import count as count_up

import av
import numpy as np
import PIL.Image
import pytest
from helpers.face_videos import write_speech
from helpers.numbered_clips import frame_number, numbered_frame
from helpers.numbered_clips import write_clip as write_numbered

from diff2lip_diffusers import Detection, FaceBox, sync_video
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.reader import read_audio, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

NTSC = Fraction(30000, 1001)
BOX = (96, 16, 128, 32)  # the squares of the highest bits, which stay black
COUNT = 10


def numbered_film(path, count: int = COUNT, fps=25):
    return write_numbered(path, [numbered_frame(index) for index in range(count)], fps)


def shown(path) -> list[int]:
    """The numbers on the pictures, read beside the box."""
    return [frame_number(frame[:, :96]) for frame in read_rgb(path)]


def back_and_forth(count: int, total: int) -> list[int]:
    cycle = [*range(count), *range(count - 2, 0, -1)]
    return [cycle[index % len(cycle)] for index in range(total)]


@pytest.mark.parametrize(
    "length, speech_frames, expected",
    [
        (None, 25, range(COUNT)),
        ("video", 6, range(COUNT)),
        ("audio", 25, back_and_forth(COUNT, 25)),
        ("audio", 6, range(6)),
        ("shortest", 6, range(6)),
        ("shortest", 25, range(COUNT)),
        ("longest", 6, range(COUNT)),
        ("longest", 25, back_and_forth(COUNT, 25)),
    ],
)
@pytest.mark.parametrize("fps", [25, NTSC])
def test_lengths(tmp_path, small_pipe, length, speech_frames, expected, fps):
    video = numbered_film(tmp_path / "face.mp4", fps=fps)
    audio = write_speech(tmp_path / "speech.wav", float(speech_frames / Fraction(fps)) - 1 / 48000, 48000)
    options = {} if length is None else {"length": length}
    result = sync_video(small_pipe, video, audio, tmp_path / "out.mp4", box=BOX, num_inference_steps=1, **options)
    assert shown(tmp_path / "out.mp4") == list(expected)
    assert result.num_frames == len(expected) and result.fps == fps
    assert result.speech_s == pytest.approx(speech_frames / fps, abs=1e-4)
    samples, rate = read_audio(tmp_path / "out.mp4")
    assert abs(len(samples) / rate - result.duration_s) <= 1 / fps


@pytest.mark.parametrize(
    "extend, after", [("loop", [0, 1, 2, 3, 4]), ("freeze", [9, 9, 9, 9, 9]), ("pingpong", [8, 7, 6, 5, 4])]
)
def test_ways_to_go_on(tmp_path, small_pipe, extend, after):
    video = numbered_film(tmp_path / "face.mp4")
    audio = write_speech(tmp_path / "speech.wav", 15 / 25)
    options = {"length": "audio", "extend": extend, "box": BOX, "num_inference_steps": 1}
    sync_video(small_pipe, video, audio, tmp_path / "out.mp4", **options)
    assert shown(tmp_path / "out.mp4") == [*range(COUNT), *after]


def test_a_still_image_speaks_as_long_as_the_recording(tmp_path, small_pipe):
    PIL.Image.fromarray(numbered_frame(5)).save(tmp_path / "face.png")
    audio = write_speech(tmp_path / "speech.wav", 1.01)
    options = {"box": BOX, "num_inference_steps": 1}
    result = sync_video(small_pipe, tmp_path / "face.png", audio, tmp_path / "out.mp4", **options)
    assert (result.num_frames, result.fps) == (26, 25)
    assert shown(tmp_path / "out.mp4") == [5] * 26
    result = sync_video(small_pipe, tmp_path / "face.png", audio, tmp_path / "out.mp4", fps=30, **options)
    assert (result.num_frames, result.fps) == (31, 30)
    result = sync_video(small_pipe, tmp_path / "face.png", audio, tmp_path / "out.mp4", length="video", **options)
    assert result.num_frames == 1


@pytest.mark.parametrize("fps", [None, 30, 12.5])
def test_a_folder_of_numbered_images_gives_each_once(tmp_path, small_pipe, fps):
    (tmp_path / "frames").mkdir()
    for index in range(12):
        PIL.Image.fromarray(numbered_frame(index)).save(tmp_path / "frames" / f"f{index + 1}.png")
    audio = write_speech(tmp_path / "speech.wav", 1)
    options = {"box": BOX, "num_inference_steps": 1} | ({} if fps is None else {"fps": fps})
    result = sync_video(small_pipe, tmp_path / "frames", audio, tmp_path / "out.mp4", **options)
    assert shown(tmp_path / "out.mp4") == list(range(12))
    assert result.fps == (fps or 25)


@pytest.mark.parametrize(
    "fps, exact", [(23.976, Fraction(24000, 1001)), (Fraction("29.97"), NTSC), (12.5, Fraction(25, 2))]
)
def test_broadcast_rates_are_meant_exactly(tmp_path, small_pipe, fps, exact):
    video = numbered_film(tmp_path / "face.mp4")
    audio = write_speech(tmp_path / "speech.wav", 0.4)
    result = sync_video(small_pipe, video, audio, tmp_path / "out.mp4", box=BOX, num_inference_steps=1, fps=fps)
    assert result.fps == exact


def test_reproduce_mode_takes_no_length(tmp_path, small_pipe):
    with pytest.raises(ValueError, match="`reproduce`.*`length`"):
        sync_video(small_pipe, "a.mp4", "a.wav", "o.mp4", reproduce=True, length="audio")


def test_progress_and_timings_tell_what_was_done(tmp_path, small_pipe):
    video = numbered_film(tmp_path / "face.mp4")
    audio = write_speech(tmp_path / "speech.wav", 15 / 25)
    seen = []
    result = sync_video(
        small_pipe,
        video,
        audio,
        tmp_path / "out.mp4",
        on_progress=lambda *at: seen.append(at),
        box=BOX,
        num_inference_steps=1,
        length="longest",
    )
    assert seen == [(done, 15) for done in range(1, 16)]
    assert set(result.stage_s) == {"speech", "decode", "crop", "sample", "paste", "encode"}
    assert all(seconds > 0 for seconds in result.stage_s.values())


@pytest.mark.slow
def test_after_an_hour_pictures_and_sound_still_match(tmp_path, small_pipe):
    """A flash and a beep each minute of an hour at 29.97 fps stay within one frame of each other."""
    minutes, rate = 60, 8000
    count = round(minutes * 60 * NTSC)
    flashes = {round(minute * 60 * NTSC) for minute in range(minutes)}
    samples = np.zeros(minutes * 60 * rate, np.int16)
    for minute in range(minutes):
        start = minute * 60 * rate
        samples[start : start + rate // 20] = 12000 * (np.arange(rate // 20) % 8 < 4)
    with av.open(str(tmp_path / "beeps.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    black, white = np.zeros((32, 64, 3), np.uint8), np.full((32, 64, 3), 255, np.uint8)
    with VideoWriter(tmp_path / "flashes.mp4", width=64, height=32, fps=NTSC) as writer:
        for index in range(count):
            writer.write(white if index in flashes else black)

    looks = count_up()

    def face_at_the_start(frames):
        return [[Detection(FaceBox(16, 8, 48, 24), 1.0)] if next(looks) < 3 else [] for _ in frames]

    result = sync_video(
        small_pipe,
        tmp_path / "flashes.mp4",
        tmp_path / "beeps.wav",
        tmp_path / "out.mp4",
        detector=face_at_the_start,
        num_inference_steps=1,
    )
    assert result.num_frames == count and result.fps == NTSC
    seen = [index for index, frame in enumerate(read_rgb(tmp_path / "out.mp4")) if frame[:8].mean() > 128]
    assert seen == sorted(flashes)
    heard, rate = read_audio(tmp_path / "out.mp4")
    loud = np.abs(heard) > 0.1
    starts = np.flatnonzero(loud & ~np.roll(np.convolve(loud, np.ones(rate // 2), "full")[: len(loud)] > 0, 1)) / rate
    assert len(starts) == minutes
    assert np.abs(starts - np.array(seen) / float(NTSC)).max() <= 1 / NTSC
    assert abs(len(heard) / rate - result.duration_s) <= 1 / NTSC


@pytest.mark.parametrize(
    ("frames", "speech_frames", "options", "reason"),
    [
        (COUNT, 7, {}, r"face\.mp4: gives 10 frames, 0\.4 s, more than the limit of 0\.3 s; .*--max-duration"),
        (3, 12, {}, r"speech\.wav: its audio is longer than the limit of 0\.3 s; .*--max-duration"),
        (3, 7, {}, None),
        (3, 7, {"length": "audio", "fps": 240}, None),
    ],
)
def test_the_longest_output(tmp_path, small_pipe, frames, speech_frames, options, reason):
    video = numbered_film(tmp_path / "face.mp4", frames)
    audio = write_speech(tmp_path / "speech.wav", speech_frames / 25)
    options |= {"box": BOX, "num_inference_steps": 1, "max_duration": 0.3}
    if reason is None:
        assert sync_video(small_pipe, video, audio, tmp_path / "out.mp4", **options).duration_s <= 0.3
        return
    with pytest.raises(MediaError, match=reason):
        sync_video(small_pipe, video, audio, tmp_path / "out.mp4", **options)
    assert not (tmp_path / "out.mp4").exists()
