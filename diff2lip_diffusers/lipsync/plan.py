"""What speech and video say about the length of a job."""

import math
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path

from ..media.length import least_and_most
from ..media.reader import VideoInfo, exact_rate
from ..pipeline_diff2lip import Diff2LipPipeline
from .option_values import MIN_BOX_PX
from .options import SyncOptions
from .source_video import SourceVideo
from .speech import Speech, read_speech

# What the original does to every clip.
ORIGINAL_FPS = Fraction(25)


@dataclass(frozen=True)
class JobPlan:
    """What speech and video say about the length of a job.

    Args:
        speech: what the model hears.
        fps: frames a second.
        spoken_frames: frames with speech.
        least: frames there must be.
        most: frames there may be; None for any number.
        expected: frames there will be, as far as the headers tell; None where they do not.
    """

    speech: Speech
    fps: Fraction
    spoken_frames: int
    least: int
    most: int | None
    expected: int | None


def plan_job(pipe: Diff2LipPipeline, source: SourceVideo, audio: str | Path, options: SyncOptions) -> JobPlan:
    """Listens to the speech, and sees how long the output is to be.

    Raises:
        ValueError: if a place in the options is outside the picture.
        MediaError: if a file cannot be read.
        AudioTooShortError: if there is less than 0.2 s of sound.
    """
    info = source.info
    _check_places_inside(options, info)
    speech = read_speech(audio, pipe.feature_extractor)
    fps = exact_rate(options.fps or (ORIGINAL_FPS if options.reproduce else info.fps))
    spoken_frames = math.ceil(speech.duration_s * fps)
    if options.reproduce:  # only frames that have a complete audio window
        least, most = 0, pipe.feature_extractor.count_windows(speech.mel.shape[1], fps)
    else:
        least, most = least_and_most(options.length or ("audio" if info.is_still else "video"), spoken_frames)
    expected = None
    if info.duration_s is not None:
        stated = max(round(info.duration_s * fps), least)
        expected = stated if most is None else min(stated, most)
    return JobPlan(speech, fps, spoken_frames, least, most, expected)


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
