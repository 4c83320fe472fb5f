"""Occluders: things before the face, found where the painted part does not fit the frame at its border."""

import cv2
import numpy as np

from .compositing import in_colors_of

# Levels: by more than the first the painted face differs from the frame where a thing crosses the border, by more than
# the second where the thing goes on. Tried on drawn people with hands and microphones.
CROSSING, BEYOND = 40.0, 28.0
# The border is so wide, as a fraction of the face; a thing crosses it on so many times its own width of the face.
BORDER_FRACTION, CROSSING_FRACTION = 1 / 16, 0.08
# Crop pixels over which differences are averaged, and how far a thing is grown and softened, as a fraction.
AVERAGED_PX, GROWN_FRACTION, SOFT_FRACTION = 3, 1 / 32, 1 / 64


def occluded(crop: np.ndarray, face: np.ndarray, painted_fraction: float) -> np.ndarray:
    """How much of a face is behind something, (S, S) float32: 0 not at all, 1 wholly; 0 above the painted part.

    A thing is a connected place that differs clearly, and that crosses the left, right or lower border of the painted
    part. A mouth that moves does not reach the border.

    Args:
        crop: (S, S, 3) uint8, the frame's own face.
        face: (S, S, 3) float32 in [0, 1], the painted one.
        painted_fraction: lower part of the face that the model painted, in (0, 1].
    """
    size = len(crop)
    first = min(int(size * (1 - painted_fraction)), size - 1)
    differing = np.abs(in_colors_of(crop, face, painted_fraction) - crop).max(axis=2)[first:]
    differing = cv2.blur(differing, (AVERAGED_PX, AVERAGED_PX), borderType=cv2.BORDER_REPLICATE)
    things = np.zeros((size, size), np.float32)
    things[first:] = _crossing(differing, max(2, round(BORDER_FRACTION * size)), size)
    grown = 2 * max(1, round(GROWN_FRACTION * size)) + 1
    things = cv2.dilate(things, np.ones((grown, grown), np.uint8))
    things[:first] = 0
    return cv2.GaussianBlur(things, (0, 0), max(0.5, SOFT_FRACTION * size), borderType=cv2.BORDER_REPLICATE)


def _crossing(differing: np.ndarray, border_px: int, size: int) -> np.ndarray:
    """(rows, S) bool: the connected places that differ and cross the border."""
    border = np.zeros(differing.shape, bool)
    border[:, :border_px] = border[:, -border_px:] = border[-border_px:] = True
    count, labels = cv2.connectedComponents((differing > BEYOND).astype(np.uint8), connectivity=4)
    crossing = np.bincount(labels[border & (differing > CROSSING)], minlength=count)
    found = crossing >= CROSSING_FRACTION * size * border_px
    found[0] = False  # what does not differ
    return found[np.asarray(labels, np.int64)]
