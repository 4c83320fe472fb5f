"""Steady boxes: short gaps bridged, detector noise smoothed away, the original's own smoothing.

Streams are iterators of (frame, box) pairs; a box of None marks a frame without a face.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import pairwise

import numpy as np

from .faces import FaceBox

# Below this overlap two boxes show different faces, or the picture was cut.
SAME_FACE_IOU = 0.3
# How many faceless frames in a row are bridged, and how many neighbours on each side steady a box.
MAX_GAP_FRAMES = 5
SMOOTHING_RADIUS_FRAMES = 3

Tracked = Iterator[tuple[np.ndarray, FaceBox | None]]


def bridge_gaps(tracked: Tracked, max_gap: int = MAX_GAP_FRAMES) -> Tracked:
    """Interpolates the box over up to `max_gap` faceless frames in a row if the same face stands on both sides."""
    last, gap = None, []
    for frame, box in tracked:
        if box is None and last is not None and len(gap) < max_gap:
            gap.append(frame)
            continue
        bridged = box is not None and gap and last.iou(box) >= SAME_FACE_IOU
        for index, missing in enumerate(gap, start=1):
            yield missing, _interpolate(last, box, index / (len(gap) + 1)) if bridged else None
        gap, last = [], box
        yield frame, box
    yield from ((frame, None) for frame in gap)


def _interpolate(first: FaceBox, second: FaceBox, weight: float) -> FaceBox:
    return FaceBox(*((1 - weight) * a + weight * b for a, b in zip(astuple(first), astuple(second), strict=True)))


def smooth_boxes(tracked: Tracked, radius: int = SMOOTHING_RADIUS_FRAMES) -> Tracked:
    """Steadies boxes by a centred mean, which does not lag, over up to `radius` frames on each side.

    The mean is symmetric everywhere and ends where the face is lost or jumps: at a cut, nothing leaks across it.
    """
    window: deque = deque()
    centre = 0
    for pair in tracked:
        window.append(pair)
        if len(window) - centre > radius:
            yield window[centre][0], _centred_mean([box for _, box in window], centre)
            centre += 1
        if centre > radius:
            window.popleft()
            centre -= 1
    for index in range(centre, len(window)):
        yield window[index][0], _centred_mean([box for _, box in window], index)


def _centred_mean(boxes: list[FaceBox | None], centre: int) -> FaceBox | None:
    if boxes[centre] is None:
        return None
    behind, ahead = _run_length(boxes[centre::-1]), _run_length(boxes[centre:])
    reach = min(behind, ahead)
    return FaceBox(*np.mean([astuple(box) for box in boxes[centre - reach : centre + reach + 1]], axis=0).tolist())


def _run_length(boxes: list[FaceBox | None]) -> int:
    """How many boxes after the first show the same face without a break."""
    for index, (box, following) in enumerate(pairwise(boxes)):
        if following is None or box.iou(following) < SAME_FACE_IOU:
            return index
    return len(boxes) - 1


def smooth_boxes_as_original(tracked: Tracked) -> Tracked:
    """The original's smoothing, in place on whole numbers: each box becomes the truncated mean of itself and the next
    four, or, near the end, of the last five, of which some are smoothed already.

    Source: SPEC "Frames".
    """
    recent: list[FaceBox] = []
    waiting: deque = deque()
    for frame, box in tracked:
        recent = [*recent[-4:], box]
        waiting.append(frame)
        if len(recent) == 5:
            recent[0] = _truncated_mean(recent)
            yield waiting.popleft(), recent[0]
    for index in range(len(recent) - len(waiting), len(recent)):
        recent[index] = _truncated_mean(recent)
        yield waiting.popleft(), recent[index]


def _truncated_mean(boxes: Sequence[FaceBox]) -> FaceBox:
    return FaceBox(*np.mean([astuple(box) for box in boxes], axis=0).astype(int).tolist())
