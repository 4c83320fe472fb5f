"""Which face to follow: the choice of one face and its way through the frames of a video."""

from collections.abc import Iterable, Sequence

import numpy as np

from .face_smoothing import MAX_GAP_FRAMES, SAME_FACE_IOU, Tracked
from .faces import Detection, FaceBox

# A mean change above this, in levels of 255 on a grid of about that many points a side, is a cut.
CUT_LEVELS, CUT_GRID = 16, 48


def choose_face(detections: Sequence[Detection], previous: FaceBox | None = None) -> FaceBox | None:
    """The face to follow: without a previous box the largest, else the one that overlaps most with it; or None."""
    boxes = [detection.box for detection in detections]
    if previous is None:
        return max(boxes, key=lambda box: box.area, default=None)
    nearest = max(boxes, key=previous.iou, default=None)
    return nearest if nearest is not None and previous.iou(nearest) >= SAME_FACE_IOU else None


def track_face(frames: Iterable[tuple[np.ndarray, Sequence[Detection]]], patience: int = MAX_GAP_FRAMES) -> Tracked:
    """Follows one face through frames (H, W, 3) that come with their detections.

    Another face is taken up after a cut, or once the followed one was missing for more than `patience` frames: a false
    detection in a single frame does not draw the track away.
    """
    previous, missing, last_frame = None, 0, None
    for frame, detections in frames:
        if missing > patience or (last_frame is not None and is_cut(last_frame, frame)):
            previous = None
        box = choose_face(detections, previous)
        previous, missing, last_frame = box or previous, 0 if box else missing + 1, frame
        yield frame, box


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the whole picture changes between two frames (H, W, 3), looked at on a coarse grid of pixels."""
    rows, columns = (max(1, extent // CUT_GRID) for extent in before.shape[:2])
    first, second = (frame[::rows, ::columns].astype(np.int16) for frame in (before, after))
    return bool(np.abs(first - second).mean() > CUT_LEVELS)
