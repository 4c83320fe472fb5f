"""Runs the detector on some frames of a video and interpolates between them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from ..boxes import Detection, FaceBox

# The detector runs on every fourth frame: at 25 fps that is 0.16 s, in which a talking head moves almost straight.
# A stride of 8 would save only one more run in eight frames.
DEFAULT_STRIDE = 4
DEFAULT_BATCH_SIZE = 4
# The least overlap of a face at both ends of a calm stretch. The face moved by at most a tenth of its width, so that
# interpolation is as exact as the detector, whose noise alone reduces the overlap to 0.9.
CALM_IOU = 0.8

# Cuts are detected on a grid with about CUT_CELLS cells along the long side. A cut between photos changes the cells by
# 19 levels of 255 or more; a pan, with its shift removed, by less than 12. For a cut between low-contrast frames, half
# of their contrast is enough.
CUT_CELLS, SAMPLES_PER_CELL, CUT_LEVELS, CUT_CONTRAST, DULL_LEVELS = 32, 4, 15, 0.45, 5
# No cell counts for more than this many levels: a hand in front of the camera is no cut, however much it differs.
CELL_LEVELS = 48
# The fastest pan is a sixth of the frame per frame.
PAN_PART = 6

Detector = Callable[[Sequence[np.ndarray]], list[list[Detection]]]


class _Entry(NamedTuple):
    item: Any
    thumbnail: np.ndarray


def find_faces(
    frames: Iterable[tuple[Any, np.ndarray]],
    detector: Detector,
    stride: int = DEFAULT_STRIDE,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[tuple[Any, np.ndarray, list[Detection]]]:
    """Yields each frame's item and thumbnail with its faces, in pixels of the thumbnail, best first.

    The detector runs on the first frame, on every `stride`-th after it and on the last. Between two of these, boxes
    are interpolated if the stretch is calm: no cut, the same number of faces, each with a partner at the other end.
    Interpolated boxes get the lower score of both ends. If both ends have no face, the frames between have none.
    Otherwise the detector runs on every frame. At most `stride * batch_size` frames are held in memory.

    Args:
        frames: pairs of an item, which is passed through, and its thumbnail, uint8 RGB (H, W, 3), all of one size.
        detector: takes a list of thumbnails and returns the faces of each, see `detectors.FaceDetector`.
        stride: 1 runs the detector on every frame.
        batch_size: the most thumbnails that the detector gets at once.

    Raises:
        ValueError: `stride` or `batch_size` is not positive.
    """
    for name, value in (("stride", stride), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be 1 or more, got {value}")
    return _find(iter(frames), detector, stride, batch_size)


def _find(frames: Iterator, detector: Detector, stride: int, batch_size: int) -> Iterator[tuple]:
    block = [_Entry(*frame) for frame in islice(frames, 1)]
    faces = detector([entry.thumbnail for entry in block]) if block else []
    while block:
        yield from ((*entry, found) for entry, found in zip(block, faces, strict=True))
        before = (block[-1], faces[-1])
        block = [_Entry(*frame) for frame in islice(frames, stride * batch_size)]
        faces = _faces_of_block(before, block, detector, stride, batch_size)


def _faces_of_block(
    before: tuple[_Entry, list[Detection]], block: list[_Entry], detector: Detector, stride: int, batch_size: int
) -> list[list[Detection]]:
    """Returns the faces of each frame of a block that follows the frame `before`, whose faces are detected."""
    thumbnails = [before[0].thumbnail, *(entry.thumbnail for entry in block)]
    key_frames = sorted({*range(stride, len(thumbnails), stride), len(block)} - {0})
    faces: dict[int, list[Detection]] = {0: before[1], **_detect(thumbnails, key_frames, detector, batch_size)}
    for first, last in pairwise([0, *key_frames]):
        faces.update(_interpolated(thumbnails, faces, first, last))
    unknown = [index for index in range(len(thumbnails)) if index not in faces]
    faces.update(_detect(thumbnails, unknown, detector, batch_size))
    return [faces[index] for index in range(1, len(thumbnails))]


def _detect(thumbnails: list, indices: list[int], detector: Detector, batch_size: int) -> dict[int, list[Detection]]:
    faces = {}
    for start in range(0, len(indices), batch_size):
        batch = indices[start : start + batch_size]
        faces.update(zip(batch, detector([thumbnails[index] for index in batch]), strict=True))
    return faces


def _interpolated(thumbnails: list, faces: dict, first: int, last: int) -> dict[int, list[Detection]]:
    """Returns the faces of the frames between two detected ones, by index; nothing if the stretch is not calm."""
    between = range(first + 1, last)
    pairs = _partners(faces[first], faces[last]) if between else None
    if pairs is None or (pairs and any(is_cut(*two) for two in pairwise(thumbnails[first : last + 1]))):
        return {}
    return {index: [_mix(*pair, (index - first) / (last - first)) for pair in pairs] for index in between}


def _partners(first: list[Detection], last: list[Detection]) -> list[tuple[Detection, Detection]] | None:
    """Returns the faces of two frames in pairs of the same face, best first; None if the pairs are not clear."""
    if len(first) != len(last):
        return None
    pairs = [(one, other) for one in first for other in last if one.box.iou(other.box) >= CALM_IOU]
    one_to_one = all(len({id(pair[side]) for pair in pairs}) == len(first) for side in (0, 1))
    if not one_to_one or len(pairs) != len(first):
        return None
    return sorted(pairs, key=lambda pair: -min(detection.score for detection in pair))


def _mix(first: Detection, last: Detection, weight: float) -> Detection:
    edges = ((1 - weight) * a + weight * b for a, b in zip(astuple(first.box), astuple(last.box), strict=True))
    return Detection(FaceBox(*edges), min(first.score, last.score))


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Tells whether there is a cut between two frames, uint8 RGB (H, W, 3): no motion, pan or noise explains them."""
    first, second = _cells(before), _cells(after)
    contrast = max(np.abs(cells - cells.mean(axis=(0, 1))).mean() for cells in (first, second))
    limit = np.clip(CUT_CONTRAST * contrast, DULL_LEVELS, CUT_LEVELS)
    if _change(first, second) <= limit:
        return False
    reach_y, reach_x = (extent // PAN_PART for extent in first.shape[:2])
    shifts = ((dy, dx) for dy in range(-reach_y, reach_y + 1) for dx in range(-reach_x, reach_x + 1))
    return all(_change(*_shifted(first, second, dy, dx)) > limit for dy, dx in shifts)


def _cells(frame: np.ndarray) -> np.ndarray:
    """Returns means (h, w, 3) float32 over squares of the frame, of a few pixels each."""
    step = max(1, max(frame.shape[:2]) // (CUT_CELLS * SAMPLES_PER_CELL))
    samples = frame[::step, ::step]
    side = min(SAMPLES_PER_CELL, *samples.shape[:2])
    height, width = (extent // side for extent in samples.shape[:2])
    cells = samples[: height * side, : width * side].reshape(height, side, width, side, 3)
    means = cells.mean(axis=(1, 3), dtype=np.float32)
    # Larger cells that overlap by half change less when a pan moves by half a cell.
    means = (means[:-1] + means[1:]) / 2 if height > 1 else means
    return (means[:, :-1] + means[:, 1:]) / 2 if width > 1 else means


def _change(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.minimum(np.abs(first - second), CELL_LEVELS).mean())


def _shifted(first: np.ndarray, second: np.ndarray, dy: int, dx: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the parts that two frames share if the second is the first moved by whole cells."""
    height, width = first.shape[:2]
    here = first[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    return here, second[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
