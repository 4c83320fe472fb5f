"""One video to clips: its stretches judged, the good ones written, of each other one a picture and the reason."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..errors import MediaError, NoAudioError
from ..lipsync.face_boxes import BoxedFrames
from ..lipsync.source_video import SourceVideo
from ..lipsync.stage_timer import StageTimer
from .clip_files import write_crops, write_picture, write_sound, write_strip
from .prepare_options import CLIP_FPS, SAMPLES_PER_FRAME, PrepareOptions
from .set_folder import CLIPS_NAME, PICTURES_NAME, SetFolder
from .source_videos import InputVideo
from .stretches import FaceCrop, Stretch, read_stretches
from .video_sound import SILENCE_DB, is_silent, read_sound

# So many frames at the end may lack sound, as encoders leave it; they get silence.
MAX_MUTE_FRAMES = 5
NO_FACE, TOO_SHORT, TOO_SMALL, BLURRED = "no face", "too short", "too small", "blurred"
NO_SOUND, SILENT, OFF_SYNC, UNREADABLE = "no sound", "silent", "off sync", "unreadable"

MeasureSync = Callable[[Sequence[np.ndarray], np.ndarray], tuple[int, float]]
"""By how many frames the sound is late for some crops (S, S, 3) uint8, and how sure that is; of sound (T,) int16."""


class _Dropped(Exception):
    """Why a stretch is no clip."""

    def __init__(self, reason: str, detail: str):
        self.reason, self.detail = reason, detail


def prepare_video(
    video: InputVideo, folder: SetFolder, options: PrepareOptions, measure_sync: MeasureSync | None = None
) -> dict:
    """Takes the clips from a video, with one main person per shot: the largest face, followed to the next cut.

    Args:
        video: where from.
        folder: where to.
        options: how.
        measure_sync: tells how late the sound is; None to leave it as it is.

    Returns:
        The video's record: which clips were kept, and which stretches dropped for what reason.

    Raises:
        MediaError: if the folder cannot be written. A video that cannot be read is dropped.
    """
    with folder.work_folder(video) as made:
        stamp = video.stamp()
        clips = _Clips(video, made, options, measure_sync)
        try:
            clips.take()
        except MediaError as error:
            if error.path not in (video.path, video.boxes, video.sound):
                raise
            clips.forget(error)
        record = {"name": video.name, "source": str(video.path), "stamp": stamp}
        record |= {"clips": clips.kept, "dropped": clips.dropped}
        folder.put_in_place(made, record)
    return record


class _Clips:
    """The clips of one video, as they are made.

    Attributes:
        kept: of each clip what the index and the report tell.
        dropped: of each other stretch what the report tells.
    """

    def __init__(self, video: InputVideo, made: Path, options: PrepareOptions, measure_sync: MeasureSync | None):
        self.video, self.options, self.measure_sync = video, options, measure_sync
        self.clip_folder, self.picture_folder = made / CLIPS_NAME, made / PICTURES_NAME
        self.source = SourceVideo(video.path)
        self.sound = np.zeros(0, np.int16)
        self.kept: list[dict] = []
        self.dropped: list[dict] = []

    def take(self) -> None:
        """Goes through the video."""
        info = self.source.info  # first of all, because a file that is no video is no silent video
        try:
            self.sound = read_sound(self.video)
        except NoAudioError:
            whole = Stretch(0)
            whole.add(next(self.source.frames(info.fps)), None, self.options.size_px)
            whole.count = round((info.duration_s or 0) * CLIP_FPS)
            detail = f"the video is silent, and there is no {self.video.sound.name} beside it"
            self._note_dropped(whole, _Dropped(NO_SOUND, detail))
            return
        for stretch in self._stretches():
            try:
                self._judge(stretch)
            except _Dropped as dropped:
                self._note_dropped(stretch, dropped)

    def forget(self, error: MediaError) -> None:
        """Drops the whole video, because it cannot be read to its end."""
        for folder in (self.clip_folder, self.picture_folder):
            for file in folder.iterdir():
                file.unlink()
        self.kept, self.dropped = [], [_dropped_entry(Stretch(0), _Dropped(UNREADABLE, str(error)), None)]

    @property
    def _heard(self) -> int:
        """How many frames the sound lasts."""
        return len(self.sound) // SAMPLES_PER_FRAME

    def _stretches(self) -> Iterator[Stretch]:
        options = self.options
        detection = options.detection(self.video.boxes if self.video.boxes.exists() else None)
        fps, device = Fraction(CLIP_FPS), torch.device("cpu")
        boxed = BoxedFrames(self.source, fps, 0, None, detection, device, StageTimer())
        end_of_sound = self._heard + MAX_MUTE_FRAMES
        return read_stretches(boxed, options.size_px, options.min_frames, options.max_frames, end_of_sound)

    def _judge(self, stretch: Stretch) -> None:
        """Keeps a stretch, or raises why not."""
        self._check(stretch)
        samples = self._sound_of(stretch, 0)
        offset = confidence = None
        if self.measure_sync is not None:
            offset, confidence = self.measure_sync([crop.pixels for crop in stretch.crops], samples)
            if self.options.min_confidence is not None and confidence < self.options.min_confidence:
                wanted = f"{self.options.min_confidence:g} is wanted"
                raise _Dropped(OFF_SYNC, f"confidence {confidence:.2f} at {offset:+d} frames; {wanted}")
            stretch = self._with_sound(stretch, offset)
            samples = self._sound_of(stretch, offset)
        self._keep(stretch, samples, offset, confidence)

    def _check(self, stretch: Stretch) -> None:
        options = self.options
        if not stretch.has_face:
            raise _Dropped(NO_FACE, f"{options.detector} found no face that it is sure of")
        if stretch.start >= self._heard:
            raise _Dropped(NO_SOUND, f"the sound ends after {self._heard / CLIP_FPS:.2f} s")
        self._check_length(stretch.count)
        side, sharpness = side_px(stretch.crops), median_sharpness(stretch.crops)
        if side < options.min_face_px:
            raise _Dropped(TOO_SMALL, f"the face has {side:.0f} pixels; {options.min_face_px:g} are wanted")
        if sharpness < options.min_sharpness:
            raise _Dropped(BLURRED, f"sharpness {sharpness:.3f}; {options.min_sharpness:g} is wanted")

    def _check_length(self, count: int) -> None:
        if count < self.options.min_frames:
            raise _Dropped(TOO_SHORT, f"{count / CLIP_FPS:.2f} s; {self.options.min_seconds:g} s are wanted")

    def _with_sound(self, stretch: Stretch, offset: int) -> Stretch:
        """The part of a stretch that has sound when that is read `offset` frames later."""
        first = max(0, -offset - stretch.start)
        heard = self._heard - offset - stretch.start
        end = heard if heard < stretch.count - MAX_MUTE_FRAMES else stretch.count
        self._check_length(end - first)
        return stretch.part(first, end)

    def _sound_of(self, stretch: Stretch, offset: int) -> np.ndarray:
        """The samples under a stretch, read `offset` frames later, completed with silence behind the end."""
        start, length = (stretch.start + offset) * SAMPLES_PER_FRAME, stretch.count * SAMPLES_PER_FRAME
        samples = self.sound[start : start + length]
        if is_silent(samples):
            raise _Dropped(SILENT, f"the sound is quieter than {SILENCE_DB} dB")
        return np.pad(samples, (0, length - len(samples)))

    def _keep(self, stretch: Stretch, samples: np.ndarray, offset: int | None, confidence: float | None) -> None:
        name = f"{self.video.name}_{len(self.kept):03d}"
        pixels = [crop.pixels for crop in stretch.crops]
        write_crops(self.clip_folder / f"{name}.mp4", pixels)
        write_sound(self.clip_folder / f"{name}.wav", samples)
        write_strip(self.picture_folder / f"{name}.jpg", pixels)
        self.kept.append(
            {
                "name": name,
                "frames": stretch.count,
                "identity": self.video.name if self.options.identity == "video" else self.video.folder,
                "source": str(self.video.path),
                "start_s": stretch.start / CLIP_FPS,
                "confidence": None if confidence is None else round(confidence, 4),
                "offset_frames": offset,
                "picture": f"{name}.jpg",
                "face_px": round(side_px(stretch.crops)),
                "sharpness": round(median_sharpness(stretch.crops), 4),
            }
        )

    def _note_dropped(self, stretch: Stretch, why: _Dropped) -> None:
        picture = f"{self.video.name}.dropped_{len(self.dropped):03d}.jpg"
        if stretch.has_face:
            write_strip(self.picture_folder / picture, [crop.pixels for crop in stretch.crops])
        else:
            write_picture(self.picture_folder / picture, stretch.preview)
        self.dropped.append(_dropped_entry(stretch, why, picture))


def _dropped_entry(stretch: Stretch, why: _Dropped, picture: str | None) -> dict:
    return {
        "start_s": stretch.start / CLIP_FPS,
        "frames": stretch.count,
        "has_face": stretch.has_face,
        "reason": why.reason,
        "detail": why.detail,
        "picture": picture,
    }


def side_px(crops: list[FaceCrop]) -> float:
    """The median of the shorter sides of the faces' boxes."""
    return float(np.median([crop.side_px for crop in crops]))


def median_sharpness(crops: list[FaceCrop]) -> float:
    """Of those faces that were looked at."""
    return float(np.median([crop.sharpness for crop in crops if crop.sharpness is not None]))
