"""Steady boxes: short gaps bridged, detector noise smoothed away, the original's own smoothing.

Streams are iterators of (item, box) pairs. An item is passed through as it is, usually a frame; a box of None marks an
item without a face.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import pairwise
from typing import Any

import numpy as np

from ..boxes import FaceBox

# Below this overlap two boxes show different faces, or the picture was cut.
SAME_FACE_IOU = 0.3
# How many faceless frames in a row are bridged, and how many neighbours on each side steady a box: about a quarter of
# a second each. More neighbours hardly steady further, and every frame of look-ahead is a frame in memory.
MAX_GAP_FRAMES = 5
SMOOTHING_RADIUS_FRAMES = 6
# How many frames `smooth_boxes(bridge_gaps(...))` holds back.
LOOK_AHEAD_FRAMES = MAX_GAP_FRAMES + SMOOTHING_RADIUS_FRAMES
# How far, in parts of the face's width (x) or height (y), a neighbour may be from the rough course of the face to
# count as noise of the same place: three times what detectors scatter, 1 % for the centre and 2-3 % for the size.
CENTRE_SPREAD, SIZE_SPREAD = 0.03, 0.08
# The rough course is a parabola through so many neighbours on each side: short enough to follow a nod of 3 Hz.
COURSE_RADIUS_FRAMES = 3

Tracked = Iterator[tuple[Any, FaceBox | None]]


def bridge_gaps(tracked: Tracked, max_gap: int = MAX_GAP_FRAMES) -> Tracked:
    """Interpolates the box over up to `max_gap` faceless frames in a row if the same face stands on both sides."""
    last, gap = None, []
    for item, box in tracked:
        if box is None and last is not None and len(gap) < max_gap:
            gap.append(item)
            continue
        bridged = box is not None and gap and last.iou(box) >= SAME_FACE_IOU
        for index, missing in enumerate(gap, start=1):
            yield missing, _interpolate(last, box, index / (len(gap) + 1)) if bridged else None
        gap, last = [], box
        yield item, box
    yield from ((item, None) for item in gap)


def _interpolate(first: FaceBox, second: FaceBox, weight: float) -> FaceBox:
    return FaceBox(*((1 - weight) * a + weight * b for a, b in zip(astuple(first), astuple(second), strict=True)))


def smooth_boxes(tracked: Tracked, radius: int = SMOOTHING_RADIUS_FRAMES) -> Tracked:
    """Steadies boxes by up to `radius` frames on each side, without lag: still and evenly moving faces stay in place.

    Each box becomes the value at its own time of a line fitted to its neighbours' centres and sizes. Neighbours count
    the less the further they are in time and in value, so a still face is averaged over many frames and a nod or a
    stop over the few that are like it. The window ends where the face is lost or jumps: nothing leaks across a cut.

    Source: Tomasi and Manduchi 1998, "Bilateral filtering for gray and color images", with the local line of Cleveland
    1979, "Robust locally weighted regression", in place of the mean.
    """
    window: deque = deque()
    centre = 0
    for pair in tracked:
        window.append(pair)
        if len(window) - centre > radius:
            yield window[centre][0], _smoothed([box for _, box in window], centre)
            centre += 1
        if centre > radius:
            window.popleft()
            centre -= 1
    for index in range(centre, len(window)):
        first = max(0, index - radius)
        yield window[index][0], _smoothed([box for _, box in window][first:], index - first)


def _smoothed(boxes: list[FaceBox | None], centre: int) -> FaceBox | None:
    if boxes[centre] is None:
        return None
    behind, ahead = _run_length(boxes[centre::-1]), _run_length(boxes[centre:])
    edges = np.array([astuple(box) for box in boxes[centre - behind : centre + ahead + 1]], dtype=np.float64)
    low, high = edges[:, :2], edges[:, 2:]
    times, values = np.arange(-behind, ahead + 1), np.hstack([(low + high) / 2, high - low])
    sides = np.tile(np.maximum(values[behind, 2:], 1), 2)
    spread = sides * [CENTRE_SPREAD, CENTRE_SPREAD, SIZE_SPREAD, SIZE_SPREAD]
    middle, size = np.split(_line_through_alike(times, values, spread), 2)
    return FaceBox(*(middle - size / 2).tolist(), *(middle + size / 2).tolist())


def _line_through_alike(times: np.ndarray, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The values (4,) at time 0 of weighted lines through `values` (T, 4) at whole `times` (T,)."""
    nearness = 1 - (times / (np.abs(times).max() + 1)) ** 2
    likeness = np.exp(-0.5 * ((values - _course(times, values)) / spread) ** 2)
    weights = nearness[:, None] * likeness
    weights /= weights.sum(axis=0)
    moment_1, moment_2 = times @ weights, times**2 @ weights + 1e-9  # the last: one frame alone is its own line
    mean, slope = (weights * values).sum(axis=0), (times[:, None] * weights * values).sum(axis=0)
    return (moment_2 * mean - moment_1 * slope) / (moment_2 - moment_1**2)


def _course(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values (4,) at time 0 of parabolas through the nearest of `values` (T, 4), all counting alike."""
    near = np.abs(times) <= COURSE_RADIUS_FRAMES
    powers = np.vander(times[near].astype(np.float64), min(3, int(near.sum())), increasing=True)
    return (np.linalg.pinv(powers) @ values[near])[0]


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
    for item, box in tracked:
        recent = [*recent[-4:], box]
        waiting.append(item)
        if len(recent) == 5:
            recent[0] = _truncated_mean(recent)
            yield waiting.popleft(), recent[0]
    for index in range(len(recent) - len(waiting), len(recent)):
        recent[index] = _truncated_mean(recent)
        yield waiting.popleft(), recent[index]


def _truncated_mean(boxes: Sequence[FaceBox]) -> FaceBox:
    return FaceBox(*np.mean([astuple(box) for box in boxes], axis=0).astype(int).tolist())
