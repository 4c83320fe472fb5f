"""Portraits: which of several pictures of one face shows best who it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Luma of BT.601.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Rows and columns of the mouth and of the upper face, as fractions of a face from forehead to chin.
MOUTH = (0.66, 0.95), (0.28, 0.72)
UPPER = (0.08, 0.5), (0.1, 0.9)
# The inside of an open mouth is darker than this share of the skin around it, which is among its brightest quarter.
DARK_SHARE, SKIN_PERCENT = 0.6, 75
# A picture is sharp if it has this share of the sharpness that a tenth of them exceed.
SHARP_SHARE, SHARPEST_QUANTILE = 0.7, 0.9
# This share of the sharp ones is looked at, the most frontal ones.
FRONTAL_SHARE = 0.5


@dataclass(frozen=True)
class Look:
    """What a picture of a face looks like.

    Attributes:
        sharpness: grows with fine detail.
        turned: grows as the face turns to a side.
        opening: how much darkness is in the mouth, in levels; grows as it opens.
    """

    sharpness: float
    turned: float
    opening: float

    @classmethod
    def of(cls, face: np.ndarray) -> "Look":
        """Looks at the face, (S, S, 3) uint8, S at least 16."""
        luma = face @ LUMA
        upper, mouth = _part(luma, UPPER), _part(luma, MOUTH)
        edges = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
        contrast = max(1.0, float(upper.std()))
        return cls(
            sharpness=float(edges.std()) / contrast,
            turned=float(np.abs(upper - upper[:, ::-1]).mean()) / contrast,
            opening=float(np.maximum(DARK_SHARE * np.percentile(mouth, SKIN_PERCENT) - mouth, 0).mean()),
        )


def best_portrait(looks: Sequence[Look]) -> int:
    """The number of the picture that shows best who a face is: sharp, frontal, and with its mouth most nearly shut.

    Args:
        looks: one or more, of one face.
    """
    sharpness, turned, opening = np.array([(look.sharpness, look.turned, look.opening) for look in looks]).T
    usable = sharpness >= SHARP_SHARE * np.quantile(sharpness, SHARPEST_QUANTILE)
    usable &= turned <= np.quantile(turned[usable], FRONTAL_SHARE)
    return int(np.where(usable, opening, np.inf).argmin())


def _part(luma: np.ndarray, part: tuple[tuple[float, float], tuple[float, float]]) -> np.ndarray:
    rows, columns = (slice(int(first * len(luma)), int(last * len(luma))) for first, last in part)
    return luma[rows, columns]
