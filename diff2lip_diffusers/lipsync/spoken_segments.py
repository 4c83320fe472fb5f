"""Segments of an output with their speech: which frames of which track are painted to which mel windows."""

import math
from collections.abc import Container, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from ..boxes import FaceBox
from ..errors import FaceNotFoundError
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .face_boxes import BoxedFrame
from .options import SyncOptions
from .segments import Segment
from .speech import Speech, read_speech
from .speech_pauses import rest_weights, silence_distances

# Two tracks whose boxes overlap by more follow one face.
ONE_FACE_IOU = 0.5
# Ends are often rounded, and headers a few frames off.
END_TOLERANCE_S = Fraction(1, 4)


@dataclass(frozen=True)
class SpokenSegment:
    """Frames in which one face follows one recording.

    Attributes:
        speech: the recording.
        frames: numbers of the frames in the output.
        fps: frames a second.
        feature_extractor: the one that made the mel steps.
        start_s: time in the output at which the recording starts.
        track: whose face it is.
        options: how it is sampled; None as the job's say.
        rest: how far the mouth rests at each mel step, as `rest_weights` says; empty where it always moves.
        stated: the segment that the caller stated; None if the whole output follows one recording.
    """

    speech: Speech
    frames: range
    fps: Fraction
    feature_extractor: Diff2LipFeatureExtractor
    start_s: Fraction = Fraction(0)
    track: int = 0
    options: SyncOptions | None = None
    rest: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    stated: Segment | None = None

    def mel_window(self, index: int) -> np.ndarray:
        """The mel window (80, 16) float32 for a frame of the output; before and after the recording is silence."""
        extractor, mel = self.feature_extractor, self.speech.mel
        if self.start_s:
            window = self._window_from(self._step_at(max(index - 1, 0)))
        else:
            window = extractor.windows(mel, [index], self.fps)[0]
        step = self._step_at(index)
        if 0 <= step < len(self.rest) and self.rest[step]:
            window = torch.lerp(window, torch.full_like(window, extractor.padding_value), float(self.rest[step]))
        return window.numpy()

    def _step_at(self, index: int) -> int:
        """The mel step of the recording at the start of a frame."""
        steps_per_s = Fraction(self.feature_extractor.sampling_rate, self.feature_extractor.hop_length)
        return math.floor(steps_per_s * index / self.fps) - round(steps_per_s * self.start_s)

    def _window_from(self, first: int) -> torch.Tensor:
        mel = self.speech.mel
        steps = torch.arange(first, first + self.feature_extractor.window_size)
        window = mel[:, steps.clamp(0, mel.shape[1] - 1)]
        inside = (steps >= 0) & (steps < mel.shape[1])
        return torch.where(inside, window, self.feature_extractor.padding_value)

    @property
    def end_s(self) -> Fraction:
        """When it ends in the output."""
        return self.stated.end_s if self.stated and self.stated.end_s else self.start_s + self.speech.duration_s


def rest_of(speech: Speech, pipe: Diff2LipPipeline, options: SyncOptions) -> np.ndarray:
    """How far the mouth rests at each mel step of a recording; empty where the options say that it always moves."""
    if not options.rest:
        return np.zeros(0, np.float32)
    steps_per_s = pipe.feature_extractor.sampling_rate / pipe.feature_extractor.hop_length
    return rest_weights(speech.mel, steps_per_s, silence_distances(pipe, speech.mel))


def spoken_segments(
    stated: Sequence[Segment],
    pipe: Diff2LipPipeline,
    fps: Fraction,
    options: SyncOptions,
) -> tuple[list[SpokenSegment], list[Any]]:
    """Reads the speech of segments; returns them in order of their starts, and the faces of their tracks.

    Raises:
        MediaError, ValueError: if a recording cannot be read, a segment has no frame, or two overlap on one face.
        AudioTooShortError: if there is less than 0.2 s of speech.
    """
    faces = list(dict.fromkeys(segment.face for segment in stated))
    read = cache(partial(read_speech, feature_extractor=pipe.feature_extractor, max_s=options.max_duration))
    found = []
    for segment in sorted(stated, key=lambda segment: segment.start_s):
        speech, track = read(segment.audio), faces.index(segment.face)
        found.append(_spoken(segment, speech, track, pipe, fps, options))
    _check_one_at_a_time(found)
    return found, faces


def _spoken(
    segment: Segment,
    speech: Speech,
    track: int,
    pipe: Diff2LipPipeline,
    fps: Fraction,
    options: SyncOptions,
) -> SpokenSegment:
    feature_extractor = pipe.feature_extractor
    length_s = speech.duration_s if segment.end_s is None else segment.end_s - segment.start_s
    frames = range(math.ceil(segment.start_s * fps), math.ceil((segment.start_s + length_s) * fps))
    if not frames:
        raise segment.error(f"lasts {float(length_s):g} s, in which there is no frame at {float(fps):g} frames/s")
    steps_per_s = Fraction(feature_extractor.sampling_rate, feature_extractor.hop_length)
    if length_s < speech.duration_s:  # what is not heard moves no mouth
        speech = Speech(speech.mel[:, : math.ceil(length_s * steps_per_s)], length_s)
    own = replace(options, **segment.options) if segment.options else None
    rest = rest_of(speech, pipe, own or options)
    return SpokenSegment(speech, frames, fps, feature_extractor, segment.start_s, track, own, rest, segment)


def _check_one_at_a_time(segments: Sequence[SpokenSegment]) -> None:
    """Makes sure that no face speaks twice at a time."""
    for track in {segment.track for segment in segments}:
        for one, other in pairwise(segment for segment in segments if segment.track == track):
            if other.start_s < one.end_s and one.stated and other.stated:
                reason = f"starts at {float(other.start_s):g} s, while the same face speaks in {one.stated.place}"
                raise other.stated.error(f"{reason}; move one of them")


def check_time(stated: Segment, length_s: Fraction) -> None:
    """Makes sure that a segment is inside an output of this length; a recording may be cut at its end.

    Raises:
        MediaError, ValueError: it is not.
    """
    for key, time_s in (("start", stated.start_s), ("end", (stated.end_s or 0) - END_TOLERANCE_S)):
        if time_s >= length_s:
            stated_s = stated.start_s if key == "start" else stated.end_s
            raise stated.error(f"`{key}` is {float(stated_s or 0):g} s, but the video ends at {float(length_s):g} s")


def checked_faces(
    entries: Generator[BoxedFrame, None, None], segments: Sequence[SpokenSegment]
) -> Generator[BoxedFrame, None, None]:
    """Yields all frames of an output; makes sure that the face of each stated segment is seen, and is its own.

    Raises:
        MediaError, ValueError: if two segments have one face in a frame, or one starts after the end.
        FaceNotFoundError: if a face is not seen while it speaks.
    """
    waiting = [segment for segment in segments if segment.stated is not None]
    unseen, count = set(map(id, waiting)), 0
    with closing(entries):
        for index, entry in enumerate(entries):
            spoken = [segment for segment in waiting if index in segment.frames]
            seen = [segment for segment in spoken if entry.boxes[segment.track] is not None]
            _check_apart(seen, entry.boxes)
            unseen.difference_update(map(id, seen))
            for segment in spoken:
                if index == segment.frames[-1]:
                    _check_seen(segment, unseen)
            waiting = [segment for segment in waiting if index < segment.frames[-1]]
            count = index + 1
            yield entry
    for segment in waiting:
        if segment.stated is not None and count:
            check_time(segment.stated, count / segment.fps)
        _check_seen(segment, unseen)


def _check_seen(segment: SpokenSegment, unseen: Container[int]) -> None:
    if segment.stated is not None and id(segment) in unseen:
        raise FaceNotFoundError(wanted=segment.stated.face, segment=segment.stated.where)


def _check_apart(segments: Sequence[SpokenSegment], boxes: Sequence[FaceBox | None]) -> None:
    """Makes sure that segments that are spoken in one frame have different faces."""
    for position, other in enumerate(segments):
        for one in segments[:position]:
            first, second = boxes[one.track], boxes[other.track]
            if other.stated and one.stated and first and second and first.iou(second) > ONE_FACE_IOU:
                reason = f"its face {_name(other)} is also {_name(one)} of {one.stated.place}, at the same time"
                raise other.stated.error(f"{reason}; choose another `face`")


def _name(segment: SpokenSegment) -> str:
    face = segment.stated.face if segment.stated else ""
    return f"{face[0]:g},{face[1]:g}" if isinstance(face, tuple) else str(face)
