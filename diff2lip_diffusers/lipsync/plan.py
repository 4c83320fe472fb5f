"""The plan of a job: its speech, frame rate and length."""

import math
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path

from ..boxes import FaceBox
from ..errors import MediaError
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
    """Speech and length of a job.

    Args:
        speech: the speech as the model takes it.
        fps: frames a second.
        spoken_frames: how many frames have speech.
        min_frames: the fewest frames that the output may have.
        max_frames: the most frames that it may have; None for any number.
        expected_frames: how many it will have by the files' headers; None where they do not say.
    """

    speech: Speech
    fps: Fraction
    spoken_frames: int
    min_frames: int
    max_frames: int | None
    expected_frames: int | None


def plan_job(pipe: Diff2LipPipeline, source: SourceVideo, audio: str | Path, options: SyncOptions) -> JobPlan:
    """Reads the speech, and decides how long the output will be.

    Raises:
        ValueError: if a place in the options is outside the frame.
        MediaError: if a file cannot be read, or the output would be longer than the options allow.
        AudioTooShortError: if there is less than 0.2 s of speech.
    """
    info = source.info
    _check_places_inside(options, info)
    speech = read_speech(audio, pipe.feature_extractor, options.max_duration)
    fps = exact_rate(options.fps or (ORIGINAL_FPS if options.reproduce else info.fps))
    spoken_frames = math.ceil(speech.duration_s * fps)
    if options.reproduce:  # only frames that have a complete audio window
        min_frames, max_frames = 0, pipe.feature_extractor.count_windows(speech.mel.shape[1], fps)
    else:
        length = options.length or ("audio" if info.is_still else "video")
        min_frames, max_frames = least_and_most(length, spoken_frames)
    expected_frames = None
    if info.duration_s is not None:
        expected_frames = max(round(info.duration_s * fps), min_frames)
        if max_frames is not None:
            expected_frames = min(expected_frames, max_frames)
    check_duration(source.path, max(expected_frames or 0, min_frames), fps, options)
    return JobPlan(speech, fps, spoken_frames, min_frames, max_frames, expected_frames)


def check_duration(video: str | Path, num_frames: int, fps: Fraction, options: SyncOptions) -> None:
    """Makes sure that so many frames of a video are not longer than the options allow.

    Raises:
        MediaError: they are.
    """
    if num_frames > options.max_duration * fps:
        length = f"{num_frames} frames, {float(num_frames / fps):.1f} s"
        limit = f"the limit of {options.max_duration:g} s"
        raise MediaError(video, f"gives {length}, more than {limit}; cut it, or raise the limit (--max-duration)")


def _check_places_inside(options: SyncOptions, info: VideoInfo) -> None:
    size = f"the frame of {info.width}x{info.height}"
    if isinstance(options.box, FaceBox):
        edges = ",".join(f"{edge:g}" for edge in astuple(options.box))
        inside = options.box.clipped(info.width, info.height)
        if min(inside.width, inside.height) < MIN_BOX_PX:
            raise ValueError(f"`box` is {edges}, of which less than {MIN_BOX_PX} pixels are inside {size}")
    if isinstance(options.face, tuple):
        x, y = options.face
        if not (0 <= x < info.width and 0 <= y < info.height):
            raise ValueError(f"`face` is the point {x:g},{y:g}, which is outside {size}")
