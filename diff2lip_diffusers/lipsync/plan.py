"""The plan of a job: its speech, frame rate and length."""

import math
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..boxes import FaceBox
from ..errors import MediaError
from ..media.containers import HEAVY_BYTES, MAX_BYTES_PER_PIXEL, MAX_PIXELS
from ..media.length import least_and_most
from ..media.reader import VideoInfo, exact_rate
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .option_values import MIN_BOX_PX
from .options import SyncOptions
from .segments import read_segments
from .source_video import SourceVideo
from .speech import read_speech
from .spoken_segments import SpokenSegment, check_time, rest_of, spoken_segments

# What the original does to every clip.
ORIGINAL_FPS = Fraction(25)


@dataclass(frozen=True)
class JobPlan:
    """Speech and length of a job.

    Args:
        segments: the speech, by the frames that follow it.
        faces: which faces to follow, by track.
        fps: frames a second.
        min_frames: the fewest frames that the output may have.
        max_frames: the most frames that it may have; None for any number.
        expected_frames: how many it will have by the files' headers; None where they do not say.
    """

    segments: tuple[SpokenSegment, ...]
    faces: tuple[Any, ...]
    fps: Fraction
    min_frames: int
    max_frames: int | None
    expected_frames: int | None

    @property
    def speech_s(self) -> Fraction:
        """How long the speech lasts, in seconds; in a dialogue, from the start of the output on."""
        return max(segment.end_s for segment in self.segments)

    @property
    def spoken_frames(self) -> int:
        """How many frames the output has up to the end of the speech."""
        return max(segment.frames.stop for segment in self.segments)

    @property
    def most_painted(self) -> int:
        """The most faces that are painted."""
        end = self.expected_frames or self.spoken_frames
        return sum(max(0, min(segment.frames.stop, end) - segment.frames.start) for segment in self.segments)


def plan_job(pipe: Diff2LipPipeline, source: SourceVideo, audio: str | Path, options: SyncOptions) -> JobPlan:
    """Reads the speech, and decides how long the output will be.

    Raises:
        ValueError: if a place in the options is outside the frame.
        MediaError: if a file cannot be read, a segment makes no sense, the frames take more memory or the output would
            be longer than the options allow.
        AudioTooShortError: if there is less than 0.2 s of speech.
    """
    info = source.info
    _check_frame_bytes(source.path, info, options)
    _check_places_inside(options, info)
    fps = exact_rate(options.fps or (ORIGINAL_FPS if options.reproduce else info.fps))
    segments, faces = _segments(pipe, audio, fps, options)
    spoken_frames = max(segment.frames.stop for segment in segments)
    if options.reproduce:  # only frames that have a complete audio window
        (segment,) = segments
        min_frames, max_frames = 0, pipe.feature_extractor.count_windows(segment.speech.mel.shape[1], fps)
    else:
        length = options.length or ("audio" if info.is_still else "video")
        min_frames, max_frames = least_and_most(length, spoken_frames)
    expected_frames = None
    if info.duration_s is not None:
        expected_frames = max(round(info.duration_s * fps), min_frames)
        if max_frames is not None:
            expected_frames = min(expected_frames, max_frames)
    check_duration(source.path, max(expected_frames or 0, min_frames), fps, options)
    plan = JobPlan(tuple(segments), tuple(faces), fps, min_frames, max_frames, expected_frames)
    _check_segments_inside(plan, info)
    return plan


def _segments(
    pipe: Diff2LipPipeline, audio: str | Path, fps: Fraction, options: SyncOptions
) -> tuple[list[SpokenSegment], list[Any]]:
    """The segments of a job, and the faces of their tracks."""
    if options.segments is not None:
        return spoken_segments(read_segments(options.segments), pipe, fps, options)
    speech = read_speech(options.drive or audio, pipe.feature_extractor, options.max_duration)
    frames = range(math.ceil(speech.duration_s * fps))
    rest = rest_of(speech, pipe, options)
    return [SpokenSegment(speech, frames, fps, pipe.feature_extractor, rest=rest)], [options.face]


def check_duration(video: str | Path, num_frames: int, fps: Fraction, options: SyncOptions) -> None:
    """Makes sure that so many frames of a video are not longer than the options allow.

    Raises:
        MediaError: they are.
    """
    if num_frames > options.max_duration * fps:
        length = f"{num_frames} frames, {float(num_frames / fps):.1f} s"
        limit = f"the limit of {options.max_duration:g} s"
        raise MediaError(video, f"gives {length}, more than {limit}; cut it, or raise the limit (--max-duration)")


def _check_frame_bytes(video: str | Path, info: VideoInfo, options: SyncOptions) -> None:
    """Makes sure that the frames do not take too much memory, with their bits and chroma samples."""
    most = options.max_pixels or MAX_PIXELS
    needed = math.ceil(info.frame_bytes / MAX_BYTES_PER_PIXEL)
    if needed > most and info.frame_bytes > HEAVY_BYTES:
        size = f"{info.width} x {info.height} pixels in {info.pixel_format}, {info.frame_bytes / 1e6:.0f} MB each"
        cure = f"convert it to 4:2:0, scale it down, or raise the limit (--max-pixels {needed})"
        raise MediaError(
            video, f"has frames of {size}, more than the limit of {most * MAX_BYTES_PER_PIXEL / 1e6:.0f}; {cure}"
        )


def _check_places_inside(options: SyncOptions, info: VideoInfo) -> None:
    size = f"the frame of {info.width}x{info.height}"
    if isinstance(options.box, FaceBox):
        edges = ",".join(f"{edge:g}" for edge in astuple(options.box))
        inside = options.box.clipped(info.width, info.height)
        if min(inside.width, inside.height) < MIN_BOX_PX:
            raise ValueError(f"`box` is {edges}, of which less than {MIN_BOX_PX} pixels are inside {size}")
    if isinstance(options.face, tuple) and not _is_inside(options.face, info):
        x, y = options.face
        raise ValueError(f"`face` is the point {x:g},{y:g}, which is outside {size}")


def _is_inside(point: tuple[float, ...], info: VideoInfo) -> bool:
    return 0 <= point[0] < info.width and 0 <= point[1] < info.height


def _check_segments_inside(plan: JobPlan, info: VideoInfo) -> None:
    """Makes sure that the times and points that segments state are inside the output, as far as headers tell."""
    for stated in (segment.stated for segment in plan.segments):
        if stated is None:
            continue
        if isinstance(stated.face, tuple) and not _is_inside(stated.face, info):
            point = f"{stated.face[0]:g},{stated.face[1]:g}"
            raise stated.error(f"`face` is the point {point}, outside the frame of {info.width}x{info.height}")
        if plan.expected_frames is not None:
            check_time(stated, plan.expected_frames / plan.fps)
