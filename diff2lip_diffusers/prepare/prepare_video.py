"""One video to clips: its stretches judged, the good ones written, of each other one a picture and the reason."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..driving_video import DrivingVideo
from ..errors import MediaError, NoAudioError
from ..face_boxes import BoxedPictures
from ..stage_timer import StageTimer
from .clip_files import write_crops, write_picture, write_sound, write_strip
from .prepare_options import CLIP_FPS, SAMPLES_PER_FRAME, PrepareOptions
from .set_folder import CLIPS_NAME, PICTURES_NAME, SetFolder
from .source_videos import SourceVideo
from .stretches import FaceCrop, Stretch, read_stretches
from .video_sound import SILENCE_DB, is_silent, read_sound

# So many frames at the end may lack sound, as encoders leave it; they get silence.
MAX_MUTE_FRAMES = 5
NO_FACE, TOO_SHORT, TOO_SMALL, BLURRED = "no face", "too short", "too small", "blurred"
NO_SOUND, SILENT, OFF_SYNC, UNREADABLE = "no sound", "silent", "off sync", "unreadable"

# (offset in frames, confidence) of crops (N, S, S, 3) uint8 and their sound (T,) int16.
MeasureSync = Callable[[np.ndarray, np.ndarray], tuple[int, float]]


class _Dropped(Exception):
    """Why a stretch is no clip."""

    def __init__(self, reason: str, detail: str):
        self.reason, self.detail = reason, detail


def prepare_video(
    video: SourceVideo, folder: SetFolder, options: PrepareOptions, measure_sync: MeasureSync | None = None
) -> dict:
    """Takes the clips from a video, with one main person per shot: the largest face, followed to the next cut.

    Args:
        video: where from.
        folder: where to.
        options: how.
        measure_sync: tells how far sound and mouth are apart; None to leave it as it is.

    Returns:
        The video's record: which clips were kept, and which stretches dropped for what reason.

    Raises:
        MediaError: if the folder cannot be written. A video that cannot be read is dropped.
    """
    with folder.work_folder(video) as made:
        run = _Run(video, made, options, measure_sync)
        folder.put_in_place(made, run.record())
        return run.record()


class _Run:
    """The way through one video."""

    def __init__(self, video: SourceVideo, made: Path, options: PrepareOptions, measure_sync: MeasureSync | None):
        self.video, self.options, self.measure_sync = video, options, measure_sync
        self.stamp = video.stamp()
        self.clip_folder, self.picture_folder = made / CLIPS_NAME, made / PICTURES_NAME
        self.driving = DrivingVideo(video.path)
        self.clips: list[dict] = []
        self.dropped: list[dict] = []
        try:
            self._run()
        except MediaError as error:
            if error.path not in (video.path, video.boxes, video.sound):
                raise
            self._drop_all(error)

    def record(self) -> dict:
        """What became of the video."""
        return {
            "name": self.video.name,
            "source": str(self.video.path),
            "stamp": self.stamp,
            "clips": self.clips,
            "dropped": self.dropped,
        }

    def _run(self) -> None:
        info = self.driving.info
        try:
            self.sound = read_sound(self.video)
        except NoAudioError:
            first = Stretch(0)
            first.add(next(self.driving.pictures(info.fps)), None, self.options.size_px)
            detail = f"the video is silent, and there is no {self.video.sound.name} beside it"
            self._note_dropped(first, _Dropped(NO_SOUND, detail))
            return
        for stretch in self._stretches():
            self._judge(stretch)

    def _stretches(self):
        boxes = self.video.boxes if self.video.boxes.exists() else None
        fps, options = Fraction(CLIP_FPS), self.options
        boxed = BoxedPictures(self.driving, fps, 0, None, options.detection(boxes), torch.device("cpu"), StageTimer())
        for stretch in read_stretches(boxed, options.size_px, options.min_frames, options.max_frames):
            heard = len(self.sound) // SAMPLES_PER_FRAME - stretch.start
            if stretch.has_face and heard < stretch.count - MAX_MUTE_FRAMES:
                if heard > 0:
                    yield stretch.split(heard)
            yield stretch

    def _judge(self, stretch: Stretch) -> None:
        try:
            self._check_face(stretch)
            samples = self._sound_of(stretch.start, stretch.count)
            self._keep(stretch, samples, None, None)
        except _Dropped as dropped:
            self._note_dropped(stretch, dropped)

    def _check_face(self, stretch: Stretch) -> None:
        options = self.options
        if not stretch.has_face:
            raise _Dropped(NO_FACE, f"{options.detector} found no face that it is sure of")
        if stretch.count < options.min_frames:
            raise _Dropped(
                TOO_SHORT, f"{stretch.count / CLIP_FPS:.2f} s, at least {options.min_seconds:g} s are wanted"
            )
        if side_px(stretch.crops) < options.min_face_px:
            shown = f"the face has {side_px(stretch.crops):.0f} pixels; {options.min_face_px:g} are wanted"
            raise _Dropped(TOO_SMALL, shown)
        if median_sharpness(stretch.crops) < options.min_sharpness:
            shown = f"sharpness {median_sharpness(stretch.crops):.3f}; {options.min_sharpness:g} is wanted"
            raise _Dropped(BLURRED, shown)

    def _sound_of(self, start: int, count: int) -> np.ndarray:
        """The samples under some frames, completed with silence behind the end."""
        samples = self.sound[start * SAMPLES_PER_FRAME : (start + count) * SAMPLES_PER_FRAME]
        if not len(samples):
            raise _Dropped(NO_SOUND, f"the sound ends after {len(self.sound) / SAMPLES_PER_FRAME / CLIP_FPS:.2f} s")
        if is_silent(samples):
            raise _Dropped(SILENT, f"the sound is quieter than {SILENCE_DB} dB")
        return np.pad(samples, (0, count * SAMPLES_PER_FRAME - len(samples)))

    def _keep(self, stretch: Stretch, samples: np.ndarray, offset: int | None, confidence: float | None) -> None:
        name = f"{self.video.name}_{len(self.clips):03d}"
        pixels = [crop.pixels for crop in stretch.crops]
        write_crops(self.clip_folder / f"{name}.mp4", pixels)
        write_sound(self.clip_folder / f"{name}.wav", samples)
        write_strip(self.picture_folder / f"{name}.jpg", pixels)
        self.clips.append(
            {
                "name": name,
                "frames": stretch.count,
                "identity": self.video.name if self.options.identity == "video" else self.video.folder,
                "source": str(self.video.path),
                "start_s": stretch.start / CLIP_FPS,
                "confidence": confidence,
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
        self.dropped.append(_dropped_entry(stretch.start, stretch.count, why, picture))

    def _drop_all(self, error: MediaError) -> None:
        """Forgets what was made of a video that cannot be read to its end."""
        for folder in (self.clip_folder, self.picture_folder):
            for file in folder.iterdir():
                file.unlink()
        self.clips, self.dropped = [], [_dropped_entry(0, 0, _Dropped(UNREADABLE, str(error)), None)]


def _dropped_entry(start: int, count: int, why: _Dropped, picture: str | None) -> dict:
    return {
        "start_s": start / CLIP_FPS,
        "frames": count,
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
