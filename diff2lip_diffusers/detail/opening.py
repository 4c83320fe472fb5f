"""The mouth's opening: where teeth and tongue may be seen."""

import numpy as np

from .luma import blurred
from .matching import MOUTH

# Red less green of skin and lips, in levels, below which a picture has no colors to tell the opening by; as a share of
# the median, what is surely inside and surely outside of it; how softly its border falls off, in pixels.
LEAST_RED, INSIDE, OUTSIDE, SOFT_PX = 8.0, 0.3, 0.6, 1.0
# An opening of fewer pixels is none.
LEAST_PX = 4.0


def opening_of(lower: np.ndarray, first_row: int) -> np.ndarray | None:
    """How far each pixel is inside the mouth's opening, (s, S) float32 in [0, 1]; None where the mouth is shut.

    Skin and lips are red; teeth and what is dark behind them are hardly.

    Args:
        lower: (s, S, 3) float32, the lower rows of a face.
        first_row: of these in the face.
    """
    size = lower.shape[1]
    redness = lower[..., 0] - lower[..., 1]
    typical = float(np.median(redness))
    if typical < LEAST_RED:
        return None
    inside = np.zeros(redness.shape, np.float32)
    (top, bottom), (left, right) = MOUTH
    rows = slice(int(top * size) - first_row, int(bottom * size) - first_row)
    mouth = rows, slice(int(left * size), int(right * size))
    inside[mouth] = ((OUTSIDE - redness[mouth] / typical) / (OUTSIDE - INSIDE)).clip(0, 1)
    inside = blurred(inside, SOFT_PX)
    return inside if inside.sum() >= LEAST_PX else None
