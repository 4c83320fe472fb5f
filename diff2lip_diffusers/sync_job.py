"""One job's way from its files to shots for the model, and from painted shots to its output."""

import importlib.metadata
import math
import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import astuple, dataclass, field
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from .clip_length import least_and_most
from .driving_video import DrivingVideo
from .errors import FaceNotFoundError
from .face_boxes import Boxed, BoxedPictures
from .faces import FaceBox
from .image_writer import ImageFolderWriter
from .media import VideoInfo, exact_rate
from .media_writer import VideoWriter
from .output_paths import check_output_path, names_folder
from .paste import painted_patch, resize_image, whole_patch
from .pictures import Picture
from .pipeline_diff2lip import Diff2LipPipeline
from .speech import read_speech
from .stage_timer import StageTimer
from .sync_options import MIN_BOX_PX, SyncOptions

# What the original does to every clip.
ORIGINAL_FPS, ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS = Fraction(25), 16000, 1


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
class Shot:
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
    picture: Picture
    box: FaceBox | None
    pixels: np.ndarray | None = None
    crop: np.ndarray | None = None
    mel_window: np.ndarray | None = None
    reference: np.ndarray | None = None


class _Abandoned(Exception):
    """Why an output is given up, as its writer sees it."""


class SyncJob:
    """A face video and a recording to become one output.

    Its methods may be called in three threads, each in one: `shots`; what the model does in between; `finish`, then
    `close` or `abandon`.

    Args:
        pipe: what paints.
        driving: the face video.
        audio: file with the speech.
        output: file or folder to write.
        options: how.

    Attributes:
        error: what ended the job too early.
        timer: seconds by stage so far.
        num_read: shots so far.
        expected_frames: how many there will be, as far as the headers tell; None before the first shot.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        driving: DrivingVideo,
        audio: str | Path,
        output: str | Path,
        options: SyncOptions,
    ):
        self.pipe, self.driving, self.audio, self.output, self.options = pipe, driving, audio, output, options
        self.error: Exception | None = None
        self.timer = StageTimer()
        self.num_read = self.num_faceless = self.num_painted = 0
        self.expected_frames: int | None = None
        self._writer: VideoWriter | ImageFolderWriter | None = None

    def shots(self) -> Iterator[Shot]:
        """The frames to be, in order, one after another.

        Raises:
            ValueError: if a place in the options is outside the picture.
            MediaError: if a file cannot be read or written.
            AudioTooShortError: if there is less than 0.2 s of sound.
            FaceNotFoundError: where the options ask for a face in a certain frame and it has none.
        """
        check_output_path(self.output, self.driving.path, self.audio)
        _check_places_inside(self.options, self.driving.info)
        with self.timer.stage("speech"):
            self.speech = read_speech(self.audio, self.pipe.feature_extractor)
        self.fps = self._fps()
        self.spoken_frames = math.ceil(self.speech.duration_s * self.fps)
        least, most = self._least_and_most()
        self.expected_frames = self._expected_frames(least, most)
        boxed = BoxedPictures(
            self.driving, self.fps, least, most, self.options, self.pipe._execution_device, self.timer
        )
        reference = self._random_reference(boxed) if self.options.mode == "random" else None
        self._writer = self._open_writer().__enter__()
        pictures = iter(boxed)
        with closing(_repeat_first(pictures) if self.options.mode == "reconstruction" else pictures) as pictures:
            for picture, box in pictures:
                yield self._shot(picture, box, reference)
                self.num_read += 1

    def _shot(self, picture: Picture, box: FaceBox | None, reference: np.ndarray | None) -> Shot:
        index = self.num_read
        if box is None or index >= self.spoken_frames:
            return Shot(self, index, picture, box)
        with self.timer.stage("crop"):
            pixels = picture.rgb(box)
            crop = self._crop(pixels)
        mel_window = self.pipe.feature_extractor.windows(self.speech.mel, [index], self.fps)[0]
        return Shot(self, index, picture, box, pixels, crop, mel_window, crop if reference is None else reference)

    def finish(self, shot: Shot, face: np.ndarray | None) -> None:
        """Pastes a painted face, (S, S, 3) float32 in [0, 1], and writes the frame; untouched where it is None."""
        picture = shot.picture
        if face is not None:
            with self.timer.stage("paste"):
                patch = self._patch(shot, face)
                picture = picture.blended(patch.box, patch.rgb, patch.opacity)
        with self.timer.stage("encode"):
            self._writer.write(picture)
        self.num_faceless += shot.box is None
        self.num_painted += face is not None

    def close(self) -> SyncResult:
        """Puts the output in place.

        Raises:
            FaceNotFoundError: if nothing was painted; then there is no output.
            MediaError: if it cannot be written.
        """
        if not self.num_painted:
            raise FaceNotFoundError(wanted=self.options.face if self.options.detects else "largest")
        writer, self._writer = self._writer, None
        with self.timer.stage("encode"):
            writer.__exit__(None, None, None)
        return SyncResult(
            Path(self.output),
            self.num_read,
            self.num_faceless,
            self.fps,
            float(self.num_read / self.fps),
            float(self.speech.duration_s),
            dict(self.timer.seconds),
        )

    def abandon(self) -> None:
        """Removes what was written of an output that will not be complete."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):  # a full disk, which is why, or is said soon
                writer.__exit__(_Abandoned, _Abandoned(), None)

    def _fps(self) -> Fraction:
        own_fps = ORIGINAL_FPS if self.options.reproduce else self.driving.info.fps
        return exact_rate(self.options.fps or own_fps)

    def _least_and_most(self) -> tuple[int, int | None]:
        if self.options.reproduce:  # only frames that have a complete audio window
            return 0, self.pipe.feature_extractor.count_windows(self.speech.mel.shape[1], self.fps)
        default = "audio" if self.driving.info.is_still else "video"
        return least_and_most(self.options.length or default, self.spoken_frames)

    def _expected_frames(self, least: int, most: int | None) -> int | None:
        if self.driving.info.duration_s is None:
            return None
        stated = max(round(self.driving.info.duration_s * self.fps), least)
        return stated if most is None else min(stated, most)

    def _open_writer(self) -> VideoWriter | ImageFolderWriter:
        metadata = {"comment": _mark()} if self.options.mark else {}
        forced = (ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS) if self.options.reproduce else (None, None)
        if names_folder(self.output):
            return ImageFolderWriter(self.output, metadata)
        info = self.driving.info
        return VideoWriter(
            self.output,
            width=info.width,
            height=info.height,
            fps=self.fps,
            info=info,
            audio=self.audio,
            audio_sampling_rate=forced[0],
            audio_channels=forced[1],
            codec=self.options.codec,
            quality=self.options.quality,
            lossless=self.options.lossless,
            metadata=metadata,
        )

    def _patch(self, shot: Shot, face: np.ndarray):
        if self.options.reproduce:
            return whole_patch(shot.box, _truncated(face))
        face = face if self.options.restore is None else _restored(self.options.restore, face)
        return painted_patch(shot.pixels, shot.box, shot.crop, face, self.pipe.config.painted_fraction)

    def _crop(self, pixels: np.ndarray) -> np.ndarray:
        size = self.pipe.unet.config.sample_size
        return resize_image(pixels, size, size)

    def _random_reference(self, boxed: BoxedPictures) -> np.ndarray:
        """The crop (S, S, 3) of one frame drawn with the seed. Source: SPEC "Frames"."""
        count = sum(1 for _ in boxed.pictures())
        index = random.Random(self.options.seed).randint(0, count - 1)
        picture, box = next(islice(boxed, index, None))
        if box is None:
            raise FaceNotFoundError(index)
        return self._crop(picture.rgb(box))


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
