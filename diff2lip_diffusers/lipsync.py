"""One job: a face video and a recording in, the same video with lips that match out, in constant memory.

Pictures stream through three threads: one decodes and finds the face, the caller's samples, one pastes and encodes.
"""

import importlib.metadata
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, field, fields
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from .clip_length import Numbered, least_and_most, read_to_length
from .errors import FaceNotFoundError
from .face_boxes import Boxed, boxed_pictures
from .faces import FaceBox
from .heap import trim_heap
from .image_writer import ImageFolderWriter
from .media import VideoInfo, exact_rate, probe_video
from .media_writer import VideoWriter
from .output_paths import check_output_path, names_folder
from .overlap import RunBehind, run_ahead
from .paste import painted_patch, resize_image, whole_patch
from .pictures import Picture
from .pipeline_diff2lip import Diff2LipPipeline
from .speech import Speech, read_speech
from .stage_timer import StageTimer
from .sync_options import MIN_BOX_PX, SyncOptions

DEFAULT_BATCH_CPU, DEFAULT_BATCH_GPU = 4, 32
TRIM_FRAMES = 100
# What the original does to every clip.
ORIGINAL_FPS, ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS = Fraction(25), 16000, 1


@dataclass(frozen=True)
class SyncResult:
    """What [`sync_video`] did.

    Args:
        output: the written file or folder.
        num_frames: frames written.
        num_faceless_frames: frames passed through untouched because the face was not seen.
        fps: frames a second.
        duration_s: length of the output in seconds.
        speech_s: length of the recording in seconds.
        stage_s: seconds of work by stage: read the speech, decode, detect, crop, sample, paste, encode. Stages run
            beside each other, so that the job takes less than their sum.
    """

    output: Path
    num_frames: int
    num_faceless_frames: int
    fps: Fraction
    duration_s: float
    speech_s: float
    stage_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Shot:
    """One output frame to be: its number, the picture, and, where speech meets a face, what is needed to paint it."""

    index: int
    picture: Picture
    box: FaceBox | None
    pixels: np.ndarray | None = None
    crop: np.ndarray | None = None


def sync_video(
    pipe: Diff2LipPipeline,
    video: str | Path,
    audio: str | Path | None,
    output: str | Path,
    on_progress: Callable[[int, int | None], None] | None = None,
    **options,
) -> SyncResult:
    """Writes `video` with its mouth moving to `audio`, and with that sound.

    Every frame of the video comes out, unless `length` says otherwise. Frames without the face, and those after the
    end of the speech, pass through as they are.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        video: what shows the face: a video file, an image file, or a folder of numbered image files.
        audio: file with the speech, sound or video; the video's own sound if None.
        output: file to write, `.mp4`, `.m4v`, `.mov` or `.mkv`, or a folder to fill with PNG files, by a name without
            suffix; it appears when it is complete.
        on_progress: called as `(frames done, frames expected or None)`.
        **options: the fields of [`SyncOptions`].

    Raises:
        ValueError: if an option is out of range.
        MediaError: if a file cannot be read or written.
        AudioTooShortError: if there is less than 0.2 s of sound.
        FaceNotFoundError: if no frame has a face; in reproduce mode, if one frame has none.
    """
    options = _checked(options)
    audio = video if audio is None else audio
    check_output_path(output, video, audio)
    info = probe_video(video)
    _check_places_inside(options, info)
    timer = StageTimer()
    with timer.stage("speech"):
        speech = read_speech(audio, pipe.feature_extractor)
    job = _Job(pipe, video, info, speech, options, timer)
    faceless = painted = done = 0
    with (
        job.open_writer(output, audio) as writer,
        RunBehind(partial(job.finish, writer), job.batch_size) as finish_later,
        closing(job.painted()) as painted_shots,
    ):
        for shot, face in painted_shots:
            finish_later(shot, face)
            faceless += shot.box is None
            painted += face is not None
            done += 1
            if done % TRIM_FRAMES == 0:
                trim_heap()
            if on_progress is not None:
                on_progress(done, job.expected_frames)
        if not painted:
            raise FaceNotFoundError(wanted=options.face if options.detects else "largest")
    return SyncResult(
        Path(output), done, faceless, job.fps, float(done / job.fps), float(speech.duration_s), dict(timer.seconds)
    )


class _Job:
    """The chain from a video to finished frames: small generators, each feeding the next."""

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        video: str | Path,
        info: VideoInfo,
        speech: Speech,
        options: SyncOptions,
        timer: StageTimer,
    ):
        self.pipe, self.video, self.info, self.speech, self.options, self.timer = (
            pipe, video, info, speech, options, timer
        )  # fmt: skip
        own_fps = ORIGINAL_FPS if options.reproduce else info.fps
        self.fps = exact_rate(options.fps or own_fps)
        self.size = pipe.unet.config.sample_size
        on_cpu = pipe._execution_device.type == "cpu"
        self.batch_size = options.batch_size or (DEFAULT_BATCH_CPU if on_cpu else DEFAULT_BATCH_GPU)
        self.spoken_frames = math.ceil(speech.duration_s * self.fps)
        self.least, self.most = self._least_and_most()

    def _least_and_most(self) -> tuple[int, int | None]:
        if self.options.reproduce:  # only frames that have a complete audio window
            return 0, self.pipe.feature_extractor.count_windows(self.speech.mel.shape[1], self.fps)
        return least_and_most(self.options.length or ("audio" if self.info.is_still else "video"), self.spoken_frames)

    @property
    def expected_frames(self) -> int | None:
        """How many frames there will be, as far as the video's header tells."""
        if self.info.duration_s is None:
            return None
        stated = max(round(self.info.duration_s * self.fps), self.least)
        return stated if self.most is None else min(stated, self.most)

    def open_writer(self, output: str | Path, audio: str | Path):
        """A writer for the result, to be entered."""
        metadata = {"comment": _mark()} if self.options.mark else {}
        forced = (ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS) if self.options.reproduce else (None, None)
        if names_folder(output):
            return ImageFolderWriter(output, metadata)
        return VideoWriter(
            output,
            width=self.info.width,
            height=self.info.height,
            fps=self.fps,
            info=self.info,
            audio=audio,
            audio_sampling_rate=forced[0],
            audio_channels=forced[1],
            codec=self.options.codec,
            quality=self.options.quality,
            lossless=self.options.lossless,
            metadata=metadata,
        )

    def painted(self) -> Iterator[tuple[_Shot, np.ndarray | None]]:
        """Each shot with its painted face (R, R, 3) float32 in [0, 1], or None where nothing is painted."""
        reference = self._random_reference() if self.options.mode == "random" else None
        with _silent(self.pipe), closing(run_ahead(self._shots(), self.batch_size)) as shots:
            for batch in _chunks(shots, self.batch_size):
                chosen = [shot for shot in batch if shot.crop is not None]
                faces = iter(self._sample(chosen, reference) if chosen else ())
                yield from ((shot, None if shot.crop is None else next(faces)) for shot in batch)

    def finish(self, writer, shot: _Shot, face: np.ndarray | None) -> None:
        """Pastes a painted face and writes the frame."""
        picture = shot.picture
        if face is not None:
            with self.timer.stage("paste"):
                patch = self._patch(shot, face)
                picture = picture.blended(patch.box, patch.rgb, patch.opacity)
        with self.timer.stage("encode"):
            writer.write(picture)

    def _patch(self, shot: _Shot, face: np.ndarray):
        if self.options.reproduce:
            return whole_patch(shot.box, _truncated(face))
        face = face if self.options.restore is None else _restored(self.options.restore, face)
        return painted_patch(shot.pixels, shot.box, shot.crop, face, self.pipe.config.painted_fraction)

    def _shots(self) -> Iterator[_Shot]:
        boxed = self._boxed()
        if self.options.mode == "reconstruction":
            boxed = _repeat_first(boxed)
        for index, (picture, box) in enumerate(boxed):
            if box is None or index >= self.spoken_frames:
                yield _Shot(index, picture, box)
                continue
            with self.timer.stage("crop"):
                pixels = picture.rgb(box)
                shot = _Shot(index, picture, box, pixels, resize_image(pixels, self.size, self.size))
            yield shot

    def _sample(self, shots: list[_Shot], reference: np.ndarray | None) -> np.ndarray:
        """Painted crops (N, S, S, 3) float32 in [0, 1]."""
        extractor = self.pipe.feature_extractor
        with self.timer.stage("sample"):
            # A generator of the same seed per batch: all frames of the job share one noise image.
            return self.pipe(
                np.stack([shot.crop for shot in shots]),
                mel_windows=extractor.windows(self.speech.mel, [shot.index for shot in shots], self.fps),
                reference_frames=reference,
                num_inference_steps=self.options.num_inference_steps,
                generator=torch.Generator().manual_seed(self.options.seed),
                eta=self.options.eta,
                output_type="np",
            ).frames

    def _boxed(self) -> Boxed:
        return boxed_pictures(
            self._pictures(), self.info, self.fps, self.options, self.pipe._execution_device, self.timer
        )

    def _pictures(self) -> Numbered:
        pictures = read_to_length(self.video, self.fps, self.least, self.most, self.options.extend)
        return self.timer.each("decode", pictures)

    def _random_reference(self) -> np.ndarray:
        """The crop (S, S, 3) of one frame drawn with the seed. Source: SPEC "Frames"."""
        count = sum(1 for _ in self._pictures())
        index = random.Random(self.options.seed).randint(0, count - 1)
        picture, box = next(islice(self._boxed(), index, None))
        if box is None:
            raise FaceNotFoundError(index)
        return resize_image(picture.rgb(box), self.size, self.size)


def _mark() -> str:
    version = importlib.metadata.version("diff2lip-diffusers")
    return f"Speech synthesised: mouth painted to a recording by diff2lip-diffusers {version}"


def _restored(restore: Callable[[np.ndarray], np.ndarray], face: np.ndarray) -> np.ndarray:
    restored = np.asarray(restore(face))
    if restored.ndim != 3 or restored.shape[0] != restored.shape[1] or restored.shape[2] != 3:
        raise ValueError(f"`restore` returned shape {restored.shape}, expected a square (S, S, 3)")
    if restored.dtype.kind != "f" or not np.isfinite(restored).all():
        raise ValueError(f"`restore` returned {restored.dtype} numbers, expected finite float32 in [0, 1]")
    return restored.astype(np.float32).clip(0, 1)


def _truncated(face: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] to uint8 as the original does: by truncation from [-1, 1], which takes a level off some values.

    Source: SPEC "Frames".
    """
    return (((2 * face - 1) + 1) * np.float32(127.5)).astype(np.uint8)


def _checked(options: dict) -> SyncOptions:
    known = [option.name for option in fields(SyncOptions)]
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        raise TypeError(f"sync_video() has no option {unknown!r}; known are {', '.join(known)}")
    return SyncOptions(**options)


def _check_places_inside(options: SyncOptions, info: VideoInfo) -> None:
    size = f"the picture of {info.width}x{info.height}"
    if options.box is not None:
        edges = ",".join(f"{edge:g}" for edge in astuple(options.box))
        inside = options.box.clipped(info.width, info.height)
        if min(inside.width, inside.height) < MIN_BOX_PX:
            raise ValueError(f"`box` is {edges}, of which less than {MIN_BOX_PX} pixels are inside {size}")
    if isinstance(options.face, tuple):
        x, y = options.face
        if not (0 <= x < info.width and 0 <= y < info.height):
            raise ValueError(f"`face` is the point {x:g},{y:g}, which is outside {size}")


def _repeat_first(boxed: Boxed) -> Boxed:
    first = None
    for pair in boxed:
        first = first or pair
        if first[1] is None:
            raise FaceNotFoundError(0)
        yield first


def _chunks(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    return iter(lambda: list(islice(items, size)), [])


@contextmanager
def _silent(pipe: Diff2LipPipeline) -> Iterator[None]:
    """Turns the pipeline's own progress bar off: there would be one per batch."""
    config = getattr(pipe, "_progress_bar_config", {})
    pipe.set_progress_bar_config(**{**config, "disable": True})
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**config)
