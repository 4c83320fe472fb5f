"""One job: a face video and a recording in, the same video with lips that match out, in constant memory.

Frames stream through decode, detect, track, crop, sample, paste and encode; only a few batches are held at a time.
"""

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from .errors import AudioTooShortError, FaceNotFoundError
from .face_detectors import FaceDetector, load_face_detector
from .face_smoothing import Tracked, bridge_gaps, smooth_boxes, smooth_boxes_as_original
from .face_tracks import track_face
from .faces import FaceBox, voxceleb2_box
from .media import VideoInfo, probe_video, read_audio, read_frames
from .media_writer import VideoWriter, check_output_path
from .paste import crop_face, paste_box, paste_painted
from .pipeline_diff2lip import Diff2LipPipeline
from .sync_options import MIN_BOX_PX, SyncOptions

MIN_AUDIO_S = Fraction(1, 5)
DETECTION_BATCH = 4
DEFAULT_BATCH_CPU, DEFAULT_BATCH_GPU = 4, 32
# What the original does to every clip.
ORIGINAL_FPS, ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS = Fraction(25), 16000, 1


@dataclass(frozen=True)
class SyncResult:
    """What [`sync_video`] did.

    Args:
        output: the written file.
        num_frames: frames written.
        num_faceless_frames: frames passed through untouched because no face was found.
        fps: frames a second.
        duration_s: length of the output in seconds.
    """

    output: Path
    num_frames: int
    num_faceless_frames: int
    fps: Fraction
    duration_s: float


@dataclass(frozen=True)
class _Shot:
    """One output frame to be: the picture, its number, where the mouth goes, and whether there is speech for it."""

    index: int
    frame: np.ndarray
    box: FaceBox | None
    spoken: bool

    @property
    def painted(self) -> bool:
        return self.box is not None and self.spoken


def sync_video(
    pipe: Diff2LipPipeline,
    video: str | Path,
    audio: str | Path | None,
    output: str | Path,
    on_progress: Callable[[int, int | None], None] | None = None,
    **options,
) -> SyncResult:
    """Writes `video` with its mouth moving to `audio`, and with that sound.

    Every frame of the video comes out. Frames without a face, and those after the end of the speech, are passed
    through; sound beyond the end of the video is cut.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        video: file with the face.
        audio: file with the speech, sound or video; the video's own sound if None.
        output: file to write, `.mp4`, `.m4v`, `.mov` or `.mkv`; it appears when it is complete.
        on_progress: called as `(frames written, frames expected or None)`.
        **options: the fields of [`SyncOptions`].

    Raises:
        ValueError: if an option is out of range.
        MediaError: if a file cannot be read or written.
        AudioTooShortError: if there is less than 0.2 s of sound.
        FaceNotFoundError: if no frame has a face; in reproduce mode, if one frame has none.
    """
    options = SyncOptions(**options)
    audio = video if audio is None else audio
    check_output_path(output, video, audio)
    info = probe_video(video)
    _check_box_inside(options, info)
    samples, sampling_rate = read_speech(audio)
    audio_s = Fraction(len(samples), sampling_rate)

    job = _Job(pipe, video, options, info.fps, pipe.feature_extractor.mel_spectrogram(samples, sampling_rate), audio_s)
    forced = (ORIGINAL_SAMPLING_RATE, ORIGINAL_CHANNELS) if options.reproduce else (None, None)
    expected = round(info.duration_s * job.fps) if info.duration_s else None
    faceless = painted = 0
    with VideoWriter(
        output,
        width=info.width,
        height=info.height,
        fps=job.fps,
        info=info,
        audio=audio,
        audio_sampling_rate=forced[0],
        audio_channels=forced[1],
        crf=options.crf,
    ) as writer:
        for shot, frame in job.frames():
            writer.write(frame)
            faceless += shot.box is None
            painted += shot.painted
            if on_progress is not None:
                on_progress(shot.index + 1, expected)
        if not painted:
            raise FaceNotFoundError()
    count = writer.frame_count
    return SyncResult(Path(output), count, faceless, job.fps, float(count / job.fps))


def read_speech(path: str | Path) -> tuple[np.ndarray, int]:
    """The sound of a file, (T,) float32 in [-1, 1), and its sampling rate in Hz.

    Raises:
        MediaError: if the file cannot be read, or has no sound.
        AudioTooShortError: if there is less than 0.2 s of it.
    """
    samples, sampling_rate = read_audio(path)
    audio_s = Fraction(len(samples), sampling_rate)
    if audio_s < MIN_AUDIO_S:
        raise AudioTooShortError(float(audio_s), float(MIN_AUDIO_S))
    return samples, sampling_rate


class _Job:
    """The chain from a video file to finished frames: small generators, each feeding the next."""

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        video: str | Path,
        options: SyncOptions,
        source_fps: Fraction,
        mel: torch.Tensor,
        audio_s: Fraction,
    ):
        self.pipe, self.video, self.options, self.mel = pipe, video, options, mel
        own_fps = ORIGINAL_FPS if options.reproduce else source_fps
        self.fps = Fraction(options.fps or own_fps).limit_denominator(100_000)
        self.size = pipe.unet.config.sample_size
        self.spoken_frames = math.ceil(audio_s * self.fps)
        on_cpu = pipe._execution_device.type == "cpu"
        self.batch_size = options.batch_size or (DEFAULT_BATCH_CPU if on_cpu else DEFAULT_BATCH_GPU)

    def frames(self) -> Iterator[tuple[_Shot, np.ndarray]]:
        """Each shot with its finished frame, in order."""
        reference = self._random_reference() if self.options.mode == "random" else None
        tracked = self._tracked()
        if self.options.mode == "reconstruction":
            tracked = _repeat_first(tracked)
        shots = (_Shot(index, frame, box, index < self.spoken_frames) for index, (frame, box) in enumerate(tracked))
        with _silent(self.pipe):
            for batch in _chunks(shots, self.batch_size):
                yield from self._paint([*batch], reference)

    def _paint(self, shots: list[_Shot], reference: np.ndarray | None) -> Iterator[tuple[_Shot, np.ndarray]]:
        """Samples and pastes one batch."""
        chosen = [shot for shot in shots if shot.painted]
        faces = iter(self._sample(chosen, reference) if chosen else ())
        for shot in shots:
            yield shot, self._paste(shot, next(faces)) if shot.painted else shot.frame

    def _sample(self, shots: list[_Shot], reference: np.ndarray | None) -> np.ndarray:
        """Painted crops (N, S, S, 3) float32 in [0, 1]."""
        # A generator of the same seed per batch: all frames of the job share one noise image.
        return self.pipe(
            np.stack([crop_face(shot.frame, shot.box, self.size) for shot in shots]),
            mel_windows=self.pipe.feature_extractor.windows(self.mel, [shot.index for shot in shots], self.fps),
            reference_frames=reference,
            num_inference_steps=self.options.num_inference_steps,
            generator=torch.Generator().manual_seed(self.options.seed),
            eta=self.options.eta,
            output_type="np",
        ).frames

    def _paste(self, shot: _Shot, face: np.ndarray) -> np.ndarray:
        if self.options.reproduce:
            return paste_box(shot.frame, shot.box, _truncated(face))
        return paste_painted(shot.frame, shot.box, face, self.pipe.config.painted_fraction)

    def _decoded(self) -> Iterator[np.ndarray]:
        """The frames to work on; in reproduce mode those that have a complete audio window."""
        frames = read_frames(self.video, self.fps)
        if self.options.reproduce:
            frames = islice(frames, self.pipe.feature_extractor.count_windows(self.mel.shape[1], self.fps))
        return frames

    def _tracked(self) -> Tracked:
        """Frames with the box, of whole pixels inside the frame, that is cropped and pasted."""
        options = self.options
        if options.box is not None:
            return ((frame, _fit(options.box, frame)) for frame in self._decoded())
        if options.voxceleb2_crop:
            return ((frame, voxceleb2_box(frame.shape[1], frame.shape[0])) for frame in self._decoded())
        detected = _detect(self._decoded(), self._detector())
        if options.reproduce:
            first = ((frame, _first_face(found, index)) for index, (frame, found) in enumerate(detected))
            padded = ((frame, _fit(box.padded(*options.pads), frame)) for frame, box in first)
            return smooth_boxes_as_original(_every_face(padded))
        steady = smooth_boxes(bridge_gaps(track_face(detected)))
        return ((frame, box and _fit(box.padded(*options.pads), frame)) for frame, box in steady)

    def _detector(self) -> FaceDetector:
        detector = self.options.detector
        return load_face_detector(detector, self.pipe._execution_device) if isinstance(detector, str) else detector

    def _random_reference(self) -> np.ndarray:
        """The crop (S, S, 3) of one frame drawn with the seed. Source: SPEC "Frames"."""
        count = sum(1 for _ in self._decoded())
        index = random.Random(self.options.seed).randint(0, count - 1)
        frame, box = next(islice(self._tracked(), index, None))
        if box is None:
            raise FaceNotFoundError(index)
        return crop_face(frame, box, self.size)


def _detect(frames: Iterable[np.ndarray], detector: FaceDetector) -> Iterator[tuple[np.ndarray, list]]:
    for batch in _chunks(frames, DETECTION_BATCH):
        yield from zip(batch, detector(batch), strict=True)


def _first_face(detections: Sequence, frame_index: int) -> FaceBox:
    if not detections:
        raise FaceNotFoundError(frame_index)
    return detections[0].box


def _every_face(tracked: Tracked) -> Tracked:
    for index, (frame, box) in enumerate(tracked):
        if box is None:
            raise FaceNotFoundError(index)
        yield frame, box


def _fit(box: FaceBox, frame: np.ndarray) -> FaceBox | None:
    """The box in whole pixels inside the frame; None if hardly anything of it is left."""
    fitted = box.rounded().clipped(frame.shape[1], frame.shape[0])
    return fitted if min(fitted.width, fitted.height) >= MIN_BOX_PX else None


def _truncated(face: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] to uint8 as the original does: by truncation from [-1, 1], which takes a level off some values.

    Source: SPEC "Frames".
    """
    return (((2 * face - 1) + 1) * np.float32(127.5)).astype(np.uint8)


def _check_box_inside(options: SyncOptions, info: VideoInfo) -> None:
    if options.box is not None:
        inside = options.box.clipped(info.width, info.height)
        if min(inside.width, inside.height) < MIN_BOX_PX:
            raise ValueError(
                f"`box` is {options.box}, of which less than {MIN_BOX_PX} pixels are inside the picture of"
                f" {info.width}x{info.height}"
            )


def _repeat_first(tracked: Tracked) -> Tracked:
    first = None
    for pair in tracked:
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
