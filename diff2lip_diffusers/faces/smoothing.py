"""Steadies a face's boxes: bridges short gaps and smooths detector noise; also the original's own smoothing.

Streams are iterators of (item, box) pairs. The item, usually a frame, is passed through; a box of None means no face.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from ..boxes import FaceBox

# Below this overlap two boxes show different faces, or there was a cut.
SAME_FACE_IOU = 0.3
# How many frames in a row without a face are bridged, and how many neighbors on each side smooth a box: about a
# quarter of a second each. More neighbors hardly help, and every frame of look-ahead is a frame in memory.
MAX_GAP_FRAMES = 5
SMOOTHING_RADIUS_FRAMES = 6
# How many frames `smooth_boxes(bridge_gaps(...))` holds back.
LOOK_AHEAD_FRAMES = MAX_GAP_FRAMES + SMOOTHING_RADIUS_FRAMES
# How far a neighbor may be from the face's trend to count as noise, in fractions of the face's width (x) or height
# (y): three times the detectors' noise, which is 1 % for the center and 2-3 % for the size.
CENTER_SPREAD, SIZE_SPREAD = 0.03, 0.08
# The trend is a parabola through this many neighbors on each side: short enough to follow a nod of 3 Hz.
TREND_RADIUS_FRAMES = 3

Tracked = Iterator[tuple[Any, FaceBox | None]]


def bridge_gaps(tracked: Tracked, max_gap: int = MAX_GAP_FRAMES) -> Tracked:
    """Interpolates over up to `max_gap` frames in a row without a face if both sides show the same face."""
    last, gap = None, []
    for item, box in tracked:
        if box is None and last is not None and len(gap) < max_gap:
            gap.append(item)
            continue
        yield from zip(gap, _bridge(last, box, len(gap)), strict=True)
        gap, last = [], box
        yield item, box
    yield from ((item, None) for item in gap)


def _bridge(before: FaceBox | None, after: FaceBox | None, count: int) -> list[FaceBox | None]:
    """Returns the boxes of `count` frames between two boxes, None if these show different faces."""
    if before is None or after is None or before.iou(after) < SAME_FACE_IOU:
        return [None] * count
    return [_interpolate(before, after, index / (count + 1)) for index in range(1, count + 1)]


def _interpolate(first: FaceBox, second: FaceBox, weight: float) -> FaceBox:
    return FaceBox(*((1 - weight) * a + weight * b for a, b in zip(astuple(first), astuple(second), strict=True)))


def smooth_boxes(tracked: Tracked, radius: int = SMOOTHING_RADIUS_FRAMES) -> Tracked:
    """Smooths boxes over up to `radius` frames on each side, without lag for still and evenly moving faces.

    A line is fitted to the neighbors' centers and sizes; each box becomes the line's value at its own time. Neighbors
    count less the further they are in time and value. So a still face is averaged over many frames, a nod or a stop
    over the few similar ones. The window ends where the face is lost or jumps: nothing leaks across a cut.

    Source: Tomasi and Manduchi 1998, "Bilateral filtering for gray and color images", with the local line of Cleveland
    1979, "Robust locally weighted regression", in place of the mean.
    """
    # Items go as soon as they are yielded; boxes are needed for longer.
    items: deque = deque()
    boxes: deque[FaceBox | None] = deque()
    center = 0
    for item, box in tracked:
        items.append(item)
        boxes.append(box)
        if len(boxes) - center > radius:
            yield items.popleft(), _smoothed(list(boxes), center)
            center += 1
        if center > radius:
            boxes.popleft()
            center -= 1
    for index in range(center, len(boxes)):
        first = max(0, index - radius)
        yield items.popleft(), _smoothed(list(boxes)[first:], index - first)


def _smoothed(boxes: list[FaceBox | None], center: int) -> FaceBox | None:
    behind, ahead = _run(boxes[center::-1]), _run(boxes[center:])
    if not ahead:
        return None
    edges = np.array([astuple(box) for box in [*behind[:0:-1], *ahead]], dtype=np.float64)
    low, high = edges[:, :2], edges[:, 2:]
    times, values = np.arange(1 - len(behind), len(ahead)), np.hstack([(low + high) / 2, high - low])
    sides = np.tile(np.maximum(values[len(behind) - 1, 2:], 1), 2)
    spread = sides * [CENTER_SPREAD, CENTER_SPREAD, SIZE_SPREAD, SIZE_SPREAD]
    middle, size = np.split(_fitted_line(times, values, spread), 2)
    return FaceBox(*(middle - size / 2).tolist(), *(middle + size / 2).tolist())


def _run(boxes: list[FaceBox | None]) -> list[FaceBox]:
    """Returns the first boxes, as long as they show the same face without a break."""
    run: list[FaceBox] = []
    for box in boxes:
        if box is None or (run and run[-1].iou(box) < SAME_FACE_IOU):
            break
        run.append(box)
    return run


def _fitted_line(times: np.ndarray, values: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Returns the values (4,) at time 0 of weighted lines fitted to `values` (T, 4) at integer `times` (T,)."""
    nearness = 1 - (times / (np.abs(times).max() + 1)) ** 2
    likeness = np.exp(-0.5 * ((values - _trend(times, values)) / spread) ** 2)
    weights = nearness[:, None] * likeness
    weights /= weights.sum(axis=0)
    moment_1, moment_2 = times @ weights, times**2 @ weights + 1e-9  # which makes one frame alone its own line
    mean, slope = (weights * values).sum(axis=0), (times[:, None] * weights * values).sum(axis=0)
    return (moment_2 * mean - moment_1 * slope) / (moment_2 - moment_1**2)


def _trend(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the values (4,) at time 0 of parabolas fitted to the nearest of `values` (T, 4), equally weighted."""
    near = np.abs(times) <= TREND_RADIUS_FRAMES
    powers = np.vander(times[near].astype(np.float64), min(3, int(near.sum())), increasing=True)
    return (np.linalg.pinv(powers) @ values[near])[0]


def smooth_boxes_as_original(tracked: Iterator[tuple[Any, FaceBox]]) -> Iterator[tuple[Any, FaceBox]]:
    """Smooths boxes as the original does: in place, on whole numbers.

    Each box becomes the truncated mean of itself and the next four. The last ones become the truncated mean of the
    last five, some of which are smoothed already.

    Source: the original program, recorded in `tests/data/pipeline.npz`.
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
