"""One job's way from its files to tasks for the model, and from painted tasks to its output."""

import importlib.metadata
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from ..boxes import FaceBox
from ..errors import FaceNotFoundError
from ..media.frame import Frame
from ..media.image_writer import ImageFolderWriter
from ..media.video_encoder import VideoEncoder
from ..media.video_writer import VideoWriter
from ..output_paths import check_output_path, names_folder
from ..pipeline_diff2lip import Diff2LipPipeline
from .compositing import painted_patch, resize_image, whole_patch
from .face_boxes import Boxed, BoxedFrames
from .options import SyncOptions
from .plan import JobPlan, plan_job
from .source_video import SourceVideo
from .stage_timer import StageTimer

# What the original does to every clip.
ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS = 16000, 1


@dataclass(frozen=True)
class SyncResult:
    """What one job did.

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
class FrameTask:
    """One output frame to be: its number, the picture, and, where speech meets a face, what the model needs.

    Args:
        job: whose frame it is.
        index: its number in the output, from 0.
        picture: where the mouth goes.
        box: where in the picture; None where the face is not seen.
        pixels: those in the box, uint8 RGB (h, w, 3); None where nothing is to be painted.
        crop: the same for the model, uint8 (S, S, 3).
        mel_window: the speech around it, float32 (80, 16).
        reference: uint8 (S, S, 3), the crop that shows the identity.
    """

    job: "SyncJob"
    index: int
    picture: Frame
    box: FaceBox | None
    pixels: np.ndarray | None = None
    crop: np.ndarray | None = None
    mel_window: np.ndarray | None = None
    reference: np.ndarray | None = None


class _Abandoned(Exception):
    """Why an output is given up, as its writer sees it."""


class SyncJob:
    """A face video and a recording to become one output.

    Its methods may be called in three threads, each in one: `tasks`; what the model does in between; `finish`, then
    `close` or `abandon`.

    Args:
        pipe: what paints.
        source: the face video.
        audio: file with the speech.
        output: file or folder to write.
        options: how.

    Attributes:
        error: what ended the job too early.
        timer: seconds by stage so far.
        num_frames: frames so far.
        plan: of the job; None before the first task.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        source: SourceVideo,
        audio: str | Path,
        output: str | Path,
        options: SyncOptions,
    ):
        self.pipe, self.source, self.audio, self.output, self.options = pipe, source, audio, output, options
        self.error: Exception | None = None
        self.timer = StageTimer()
        self.num_frames = self.num_faceless = self.num_painted = 0
        self.plan: JobPlan | None = None
        self._writer: VideoWriter | ImageFolderWriter | VideoEncoder | None = None

    def tasks(self) -> Iterator[FrameTask]:
        """The frames to be, in order, one after another.

        Raises:
            ValueError: if a place in the options is outside the picture.
            MediaError: if a file cannot be read or written.
            AudioTooShortError: if there is less than 0.2 s of sound.
            FaceNotFoundError: where the options ask for a face in a certain frame and it has none.
        """
        check_output_path(self.output, self.source.path, self.audio)
        with self.timer.stage("speech"):
            self.plan = plan_job(self.pipe, self.source, self.audio, self.options)
        boxed = boxed_frames(self.pipe, self.source, self.plan, self.options, self.timer)
        reference = random_reference(self.pipe, boxed, self.options) if self.options.mode == "random" else None
        self._writer = self._open_writer().__enter__()
        yield from self._tasks_of(repeat_first(boxed) if self.options.mode == "reconstruction" else boxed, reference)

    def _tasks_of(self, boxed: Iterable, reference: np.ndarray | None, first: int = 0) -> Iterator[FrameTask]:
        """Those of pictures of which the first is to be frame number `first`."""
        with closing(iter(boxed)) as pictures:
            for index, (_, picture, box) in enumerate(pictures, first):
                yield self._task(index, picture, box, reference)

    def _task(self, index: int, picture: Frame, box: FaceBox | None, reference: np.ndarray | None) -> FrameTask:
        if box is None or index >= self.plan.spoken_frames:
            return FrameTask(self, index, picture, box)
        with self.timer.stage("crop"):
            pixels = picture.rgb(box)
            crop = _crop(self.pipe, pixels)
        window = self.pipe.feature_extractor.windows(self.plan.speech.mel, [index], self.plan.fps)[0]
        return FrameTask(self, index, picture, box, pixels, crop, window, crop if reference is None else reference)

    def finish(self, task: FrameTask, face: np.ndarray | None) -> None:
        """Pastes a painted face, (S, S, 3) float32 in [0, 1], and writes the frame; untouched where it is None."""
        picture = task.picture
        if face is not None:
            with self.timer.stage("paste"):
                patch = self._patch(task, face)
                picture = picture.blended(patch.box, patch.rgb, patch.opacity)
        with self.timer.stage("encode"):
            self._writer.write(picture)
        self.num_frames += 1
        self.num_faceless += task.box is None
        self.num_painted += face is not None

    def close(self) -> SyncResult:
        """Puts the output in place.

        Raises:
            FaceNotFoundError: if nothing was painted; then there is no output.
            MediaError: if it cannot be written.
        """
        if not self.num_painted:
            raise FaceNotFoundError(wanted=self.options.face if self.options.detects else "largest")
        self._close_writer()
        plan = self.plan
        return SyncResult(
            Path(self.output),
            self.num_frames,
            self.num_faceless,
            plan.fps,
            float(self.num_frames / plan.fps),
            float(plan.speech.duration_s),
            dict(self.timer.seconds),
        )

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        with self.timer.stage("encode"):
            writer.__exit__(None, None, None)

    def abandon(self) -> None:
        """Removes what was written of an output that will not be complete."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):  # a full disk, which is why, or is said soon
                writer.__exit__(_Abandoned, _Abandoned(), None)

    def _open_writer(self) -> VideoWriter | ImageFolderWriter:
        if names_folder(self.output):
            return ImageFolderWriter(self.output, mark_of(self.options))
        return VideoWriter(
            self.output,
            **video_settings(self.source, self.plan, self.options),
            audio=self.audio,
            **audio_settings(self.options),
            metadata=mark_of(self.options),
        )

    def _patch(self, task: FrameTask, face: np.ndarray):
        if self.options.reproduce:
            return whole_patch(task.box, _truncated(face))
        face = face if self.options.restore is None else _restored(self.options.restore, face)
        return painted_patch(task.pixels, task.box, task.crop, face, self.pipe.config.painted_fraction)


def boxed_frames(
    pipe: Diff2LipPipeline, source: SourceVideo, plan: JobPlan, options: SyncOptions, timer: StageTimer
) -> BoxedFrames:
    """The pictures of a job with the boxes of the face."""
    return BoxedFrames(source, plan.fps, plan.least, plan.most, options, pipe._execution_device, timer)


def random_reference(pipe: Diff2LipPipeline, boxed: BoxedFrames, options: SyncOptions) -> np.ndarray:
    """The crop (S, S, 3) uint8 of one frame drawn with the seed. Source: SPEC "Frames".

    Raises:
        FaceNotFoundError: if that frame has no face.
    """
    count = sum(1 for _ in boxed.pictures())
    index = random.Random(options.seed).randint(0, count - 1)
    _, picture, box = next(islice(boxed, index, None))
    if box is None:
        raise FaceNotFoundError(index)
    return _crop(pipe, picture.rgb(box))


def repeat_first(boxed: Iterable) -> Boxed:
    """The first picture as often as there are pictures.

    Raises:
        FaceNotFoundError: if it has no face.
    """
    first = None
    for entry in boxed:
        first = first or entry
        if first[-1] is None:
            raise FaceNotFoundError(0)
        yield first


def _crop(pipe: Diff2LipPipeline, pixels: np.ndarray) -> np.ndarray:
    size = pipe.unet.config.sample_size
    return resize_image(pixels, size, size)


def video_settings(source: SourceVideo, plan: JobPlan, options: SyncOptions) -> dict:
    """How the pictures of an output are encoded, as `VideoEncoder` takes it."""
    info = source.info
    chosen = {"codec": options.codec, "crf": options.crf, "lossless": options.lossless}
    return {"width": info.width, "height": info.height, "fps": plan.fps, "info": info, **chosen}


def audio_settings(options: SyncOptions) -> dict:
    """How the sound of an output is encoded, as `VideoWriter` takes it."""
    forced = (ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS) if options.reproduce else (None, None)
    return dict(zip(("audio_sampling_rate", "audio_channels"), forced, strict=True))


def mark_of(options: SyncOptions) -> dict[str, str]:
    """The metadata that says where an output comes from."""
    if not options.mark:
        return {}
    version = importlib.metadata.version("diff2lip-diffusers")
    return {"comment": f"Speech synthesised: mouth painted to a recording by diff2lip-diffusers {version}"}


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
