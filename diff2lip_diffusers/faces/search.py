"""Where faces are in the pictures of a video, found with few looks: what is calm between two looks is interpolated."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from ..boxes import Detection, FaceBox

# Every so many pictures are looked at: at 25 fps each 0.16 s, in which a talking head goes an almost straight way.
# Twice as many would save one look in eight more.
DEFAULT_STRIDE = 4
DEFAULT_BATCH_SIZE = 4
# The least overlap of a face at both ends of a calm stretch: it moved by at most a tenth of its width, so that the
# line between the ends is off by no more than detectors are. Their scatter alone leaves an overlap of 0.9.
CALM_IOU = 0.8

# Cuts are seen on cells, about so many along the long side: a cut between photos changes them by 19 levels of 255 or
# more, a pan, with its shift taken out, by less than 12. A cut between dull pictures takes only half their contrast.
CUT_CELLS, SAMPLES_PER_CELL, CUT_LEVELS, CUT_CONTRAST, DULL_LEVELS = 32, 4, 15, 0.45, 5
# No cell counts for more than this many levels: a hand before the camera is no cut, however different from the scene.
CELL_LEVELS = 48
# The fastest pan: a sixth of the picture in one frame.
PAN_PART = 6

Detector = Callable[[Sequence[np.ndarray]], list[list[Detection]]]


class _Picture(NamedTuple):
    item: Any
    thumbnail: np.ndarray


def find_faces(
    pictures: Iterable[tuple[Any, np.ndarray]],
    detector: Detector,
    stride: int = DEFAULT_STRIDE,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Iterator[tuple[Any, np.ndarray, list[Detection]]]:
    """Each picture's item and thumbnail with the faces in it, in the thumbnail's pixels, best first.

    The detector looks at the first picture, at every `stride`-th after it and at the last. Where the pictures between
    two looks are calm (no cut, the same number of faces, each with its partner at the other end) the boxes are
    interpolated and get the lower score of both ends; where no face is at either end, there is none between; elsewhere
    the detector looks at every picture. At most `stride * batch_size` pictures are held.

    Args:
        pictures: pairs of an item, which is passed through, and its thumbnail, uint8 RGB (H, W, 3), all of one size.
        detector: takes a list of thumbnails and returns the faces in each, as in `face_detectors`.
        stride: 1 to look at all.
        batch_size: the most thumbnails the detector gets at once.

    Raises:
        ValueError: if `stride` or `batch_size` is not positive.
    """
    for name, value in (("stride", stride), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be 1 or more, got {value}")
    return _find(iter(pictures), detector, stride, batch_size)


def _find(pictures: Iterator, detector: Detector, stride: int, batch_size: int) -> Iterator[tuple]:
    block = [_Picture(*picture) for picture in islice(pictures, 1)]
    faces = detector([picture.thumbnail for picture in block]) if block else []
    while block:
        yield from ((*picture, found) for picture, found in zip(block, faces, strict=True))
        before = (block[-1], faces[-1])
        block = [_Picture(*picture) for picture in islice(pictures, stride * batch_size)]
        faces = _faces_of_block(before, block, detector, stride, batch_size)


def _faces_of_block(
    before: tuple[_Picture, list[Detection]], block: list[_Picture], detector: Detector, stride: int, batch_size: int
) -> list[list[Detection]]:
    """The faces in each picture of a block that follows the looked-at picture `before`."""
    thumbnails = [before[0].thumbnail, *(picture.thumbnail for picture in block)]
    looked_at = sorted({*range(stride, len(thumbnails), stride), len(block)} - {0})
    faces: dict[int, list[Detection]] = {0: before[1], **_look_at(thumbnails, looked_at, detector, batch_size)}
    for first, last in pairwise([0, *looked_at]):
        faces.update(_interpolated(thumbnails, faces, first, last))
    unknown = [index for index in range(len(thumbnails)) if index not in faces]
    faces.update(_look_at(thumbnails, unknown, detector, batch_size))
    return [faces[index] for index in range(1, len(thumbnails))]


def _look_at(thumbnails: list, indices: list[int], detector: Detector, batch_size: int) -> dict[int, list[Detection]]:
    faces = {}
    for start in range(0, len(indices), batch_size):
        batch = indices[start : start + batch_size]
        faces.update(zip(batch, detector([thumbnails[index] for index in batch]), strict=True))
    return faces


def _interpolated(thumbnails: list, faces: dict, first: int, last: int) -> dict[int, list[Detection]]:
    """The faces between two looked-at pictures, by index; of none if that stretch is not calm."""
    between = range(first + 1, last)
    pairs = _partners(faces[first], faces[last]) if between else None
    if pairs is None or (pairs and any(is_cut(*two) for two in pairwise(thumbnails[first : last + 1]))):
        return {}
    return {index: [_mix(*pair, (index - first) / (last - first)) for pair in pairs] for index in between}


def _partners(first: list[Detection], last: list[Detection]) -> list[tuple[Detection, Detection]] | None:
    """The faces of two pictures in pairs of one face each, best first; None if it is not clear who is who."""
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
    """Whether another shot begins between two pictures, uint8 RGB (H, W, 3): no movement, pan or noise explains it."""
    first, second = _cells(before), _cells(after)
    contrast = max(np.abs(cells - cells.mean(axis=(0, 1))).mean() for cells in (first, second))
    limit = np.clip(CUT_CONTRAST * contrast, DULL_LEVELS, CUT_LEVELS)
    if _change(first, second) <= limit:
        return False
    reach_y, reach_x = (extent // PAN_PART for extent in first.shape[:2])
    shifts = ((dy, dx) for dy in range(-reach_y, reach_y + 1) for dx in range(-reach_x, reach_x + 1))
    return all(_change(*_shifted(first, second, dy, dx)) > limit for dy, dx in shifts)


def _cells(picture: np.ndarray) -> np.ndarray:
    """Means (h, w, 3) float32 over squares of the picture; a few pixels of each are enough."""
    step = max(1, max(picture.shape[:2]) // (CUT_CELLS * SAMPLES_PER_CELL))
    samples = picture[::step, ::step]
    side = min(SAMPLES_PER_CELL, *samples.shape[:2])
    height, width = (extent // side for extent in samples.shape[:2])
    cells = samples[: height * side, : width * side].reshape(height, side, width, side, 3)
    means = cells.mean(axis=(1, 3), dtype=np.float32)
    # Twice as large and overlapping by half, they differ less when a pan goes half a cell further.
    means = (means[:-1] + means[1:]) / 2 if height > 1 else means
    return (means[:, :-1] + means[:, 1:]) / 2 if width > 1 else means


def _change(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.minimum(np.abs(first - second), CELL_LEVELS).mean())


def _shifted(first: np.ndarray, second: np.ndarray, dy: int, dx: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts that two pictures share when the second shows the first moved by whole cells."""
    height, width = first.shape[:2]
    here = first[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
    return here, second[max(0, dy) : height - max(0, -dy), max(0, dx) : width - max(0, -dx)]
