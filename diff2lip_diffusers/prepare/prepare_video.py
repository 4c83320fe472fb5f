"""Turns one video into clips: writes the good segments, and records why the others were dropped."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..errors import MediaError, NoAudioError
from ..lipsync.face_boxes import BoxedFrames
from ..lipsync.source_video import SourceVideo
from ..lipsync.stage_timer import StageTimer
from .clip_files import write_clip_speech, write_crops, write_image, write_strip
from .prepare_options import PrepareOptions
from .segments import FaceCrop, Segment, read_segments
from .set_folder import CLIPS_NAME, IMAGES_NAME, SetFolder
from .set_layout import CLIP_FPS, SAMPLES_PER_FRAME
from .source_videos import InputVideo
from .video_audio import SILENCE_DB, is_silent, read_speech

# Encoders often end the audio up to this many frames before the video; the clip is padded with silence.
MAX_SILENT_TAIL = 5
NO_FACE, TOO_SHORT, TOO_SMALL, BLURRED = "no face", "too short", "too small", "blurred"
NO_SOUND, SILENT, OFF_SYNC, UNREADABLE = "no sound", "silent", "off sync", "unreadable"

MeasureSync = Callable[[Sequence[np.ndarray], np.ndarray], tuple[int, float]]
"""From crops (S, S, 3) uint8 and speech (T,) int16: by how many frames the speech is late, and the LSE-C."""


class _Dropped(Exception):
    """The reason why a segment becomes no clip."""

    def __init__(self, name: str, detail: str):
        self.name, self.detail = name, detail


def prepare_video(
    video: InputVideo, folder: SetFolder, options: PrepareOptions, measure_sync: MeasureSync | None = None
) -> dict:
    """Cuts a video into clips of one person per shot: the largest face, followed to the next cut.

    Args:
        video: the source.
        folder: the training set.
        options: what to keep.
        measure_sync: measures by how many frames the speech is late; None leaves the speech where it is.

    Returns:
        The video's record: the clips that were kept, and the segments that were dropped, with the reason.

    Raises:
        MediaError: if the folder cannot be written. A video that cannot be read is dropped.
    """
    with folder.work_folder(video) as made:
        stamp = video.stamp()
        clips = _VideoClips(video, made, options, measure_sync)
        try:
            clips.collect()
        except MediaError as error:
            if error.path not in (video.path, video.boxes, video.speech_file):
                raise
            clips.drop_all(error)
        record = {"name": video.name, "source": str(video.path), "stamp": stamp}
        record |= {"clips": clips.kept, "dropped": clips.dropped}
        folder.publish(made, record)
    return record


class _VideoClips:
    """The clips of one video while they are made.

    Attributes:
        kept: an entry for each clip, for the index and the report.
        dropped: an entry for each other segment, for the report.
    """

    def __init__(self, video: InputVideo, made: Path, options: PrepareOptions, measure_sync: MeasureSync | None):
        self.video, self.options, self.measure_sync = video, options, measure_sync
        self.clip_folder, self.image_folder = made / CLIPS_NAME, made / IMAGES_NAME
        self.source = SourceVideo(video.path)
        self.speech = np.zeros(0, np.int16)
        self.kept: list[dict] = []
        self.dropped: list[dict] = []

    def collect(self) -> None:
        """Reads the whole video and writes its clips."""
        info = self.source.info  # first, because a file that is no video must not count as a silent video
        try:
            self.speech = read_speech(self.video)
        except NoAudioError:
            whole = Segment(0)
            whole.add(next(self.source.frames(info.fps)), None, self.options.size_px)
            whole.count = round((info.duration_s or 0) * CLIP_FPS)
            detail = f"the video is silent, and there is no {self.video.speech_file.name} beside it"
            self._note_dropped(whole, _Dropped(NO_SOUND, detail))
            return
        for segment in self._segments():
            try:
                self._judge(segment)
            except _Dropped as dropped:
                self._note_dropped(segment, dropped)

    def drop_all(self, error: MediaError) -> None:
        """Drops the whole video because it cannot be read to its end."""
        for folder in (self.clip_folder, self.image_folder):
            for file in folder.iterdir():
                file.unlink()
        self.kept, self.dropped = [], [_dropped_entry(Segment(0), _Dropped(UNREADABLE, str(error)), None)]

    @property
    def _speech_frames(self) -> int:
        """Duration of the speech in whole frames."""
        return len(self.speech) // SAMPLES_PER_FRAME

    def _segments(self) -> Iterator[Segment]:
        options = self.options
        detection = options.detection(self.video.boxes if self.video.boxes.exists() else None)
        fps, device = Fraction(CLIP_FPS), torch.device("cpu")
        boxed = BoxedFrames(self.source, fps, 0, None, detection, device, StageTimer())
        end_of_speech = self._speech_frames + MAX_SILENT_TAIL
        return read_segments(boxed, options.size_px, options.min_frames, options.max_frames, end_of_speech)

    def _judge(self, segment: Segment) -> None:
        """Keeps a segment, or raises the reason why not."""
        self._check(segment)
        samples = self._speech_of(segment, 0)
        offset = lse_c = None
        if self.measure_sync is not None:
            offset, lse_c = self.measure_sync([crop.pixels for crop in segment.crops], samples)
            if self.options.min_lse_c is not None and lse_c < self.options.min_lse_c:
                expected = f"expected at least {self.options.min_lse_c:g}"
                raise _Dropped(OFF_SYNC, f"LSE-C {lse_c:.2f} at {offset:+d} frames, {expected}")
            segment = self._with_speech(segment, offset)
            samples = self._speech_of(segment, offset)
        self._keep(segment, samples, offset, lse_c)

    def _check(self, segment: Segment) -> None:
        options = self.options
        if not segment.has_face:
            raise _Dropped(NO_FACE, f"{options.detector} found no face")
        if segment.start >= self._speech_frames:
            raise _Dropped(NO_SOUND, f"the audio ends after {self._speech_frames / CLIP_FPS:.2f} s")
        self._check_length(segment.count)
        side, sharpness = median_side_px(segment.crops), median_sharpness(segment.crops)
        if side < options.min_face_px:
            raise _Dropped(TOO_SMALL, f"the face has {side:.0f} pixels, expected at least {options.min_face_px:g}")
        if sharpness < options.min_sharpness:
            raise _Dropped(BLURRED, f"sharpness {sharpness:.3f}, expected at least {options.min_sharpness:g}")

    def _check_length(self, count: int) -> None:
        if count < self.options.min_frames:
            raise _Dropped(TOO_SHORT, f"{count / CLIP_FPS:.2f} s, expected at least {self.options.min_seconds:g} s")

    def _with_speech(self, segment: Segment, offset: int) -> Segment:
        """The part of a segment that still has speech when the speech is read `offset` frames later."""
        first = max(0, -offset - segment.start)
        with_speech = self._speech_frames - offset - segment.start
        end = with_speech if with_speech < segment.count - MAX_SILENT_TAIL else segment.count
        self._check_length(end - first)
        return segment.part(first, end)

    def _speech_of(self, segment: Segment, offset: int) -> np.ndarray:
        """The speech of a segment, read `offset` frames later, padded with silence at the end."""
        start, length = (segment.start + offset) * SAMPLES_PER_FRAME, segment.count * SAMPLES_PER_FRAME
        samples = self.speech[start : start + length]
        if is_silent(samples):
            raise _Dropped(SILENT, f"the audio is quieter than {SILENCE_DB} dB")
        return np.pad(samples, (0, length - len(samples)))

    def _keep(self, segment: Segment, samples: np.ndarray, offset: int | None, lse_c: float | None) -> None:
        name = f"{self.video.name}_{len(self.kept):03d}"
        pixels = [crop.pixels for crop in segment.crops]
        write_crops(self.clip_folder / f"{name}.mp4", pixels)
        write_clip_speech(self.clip_folder / f"{name}.wav", samples)
        write_strip(self.image_folder / f"{name}.jpg", pixels)
        self.kept.append(
            {
                "name": name,
                "frames": segment.count,
                "identity": self.video.name if self.options.identity == "video" else self.video.folder,
                "source": str(self.video.path),
                "start_s": segment.start / CLIP_FPS,
                "confidence": None if lse_c is None else round(lse_c, 4),
                "offset_frames": offset,
                "picture": f"{name}.jpg",
                "face_px": round(median_side_px(segment.crops)),
                "sharpness": round(median_sharpness(segment.crops), 4),
            }
        )

    def _note_dropped(self, segment: Segment, reason: _Dropped) -> None:
        image = f"{self.video.name}.dropped_{len(self.dropped):03d}.jpg"
        if segment.has_face:
            write_strip(self.image_folder / image, [crop.pixels for crop in segment.crops])
        elif segment.preview is not None:
            write_image(self.image_folder / image, segment.preview)
        self.dropped.append(_dropped_entry(segment, reason, image))


def _dropped_entry(segment: Segment, reason: _Dropped, image: str | None) -> dict:
    return {
        "start_s": segment.start / CLIP_FPS,
        "frames": segment.count,
        "has_face": segment.has_face,
        "reason": reason.name,
        "detail": reason.detail,
        "picture": image,
    }


def median_side_px(crops: list[FaceCrop]) -> float:
    """Median over frames of the shorter side of the face box."""
    return float(np.median([crop.side_px for crop in crops]))


def median_sharpness(crops: list[FaceCrop]) -> float:
    """Median over the frames whose sharpness was measured."""
    return float(np.median([crop.sharpness for crop in crops if crop.sharpness is not None]))
