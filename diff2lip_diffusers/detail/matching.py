"""Matching: which exemplars look most like a painted face, and how far they are shifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from .luma import MATCH_PX, blurred

# The mouth, and what is never painted of the face; rows and columns as fractions of the face.
MOUTH = (0.58, 0.94), (0.16, 0.88)
UPPER = (0.08, 0.44), (0.16, 0.84)
# Shifts that are tried, as a fraction of the face.
REACH = 0.07
# Weight of the upper face's difference beside the mouth's: it prefers the same light, pose and person.
UPPER_WEIGHT = 0.1
# Levels; an upper face that differs by more on average is another person's.
MOST_UNLIKE = 40.0
UPPER_BLUR_PX = 1.5
# The difference of an exemplar of the last frame counts only so much: those that follow each other change less often.
FAVOR = 0.85
_REACH_PX = round(REACH * MATCH_PX)
SHIFTS = tuple(product(range(-_REACH_PX, _REACH_PX + 1), repeat=2))


@dataclass(frozen=True)
class Match:
    """An exemplar that looks like the painted face.

    Attributes:
        index: of the exemplar in its bank.
        shift: x and y from the painted face to the exemplar, as fractions of the face.
    """

    index: int
    shift: tuple[float, float]


class Looks:
    """What the faces of a bank look like, for matching.

    Args:
        lumas: (N, MATCH_PX, MATCH_PX) float32.
    """

    def __init__(self, lumas: np.ndarray):
        self._mouths = np.stack([_window(luma, MOUTH, 0, 0) for luma in lumas])
        self._uppers = np.stack([_upper(luma) for luma in lumas])

    @property
    def contrast(self) -> float:
        """Standard deviation of the mouths, in levels."""
        return float(np.sqrt(_mean_square(self._mouths).mean()))

    def best(
        self, luma: np.ndarray, count: int, allowed: np.ndarray | None = None, favored: Sequence[int] = ()
    ) -> list[Match]:
        """The exemplars that look most like a painted face, the best one first.

        Args:
            luma: (MATCH_PX, MATCH_PX) float32, of the painted face.
            count: how many at most.
            allowed: (N,) bool, which exemplars may be taken; all by default.
            favored: numbers in the bank of those that the last frame took.
        """
        windows = np.stack([_window(luma, MOUTH, down, across) for down, across in SHIFTS])
        crossed = windows @ self._mouths.T * np.float32(2 / windows.shape[1])
        difference = _mean_square(windows)[:, None] + _mean_square(self._mouths) - crossed
        unlike = _mean_square(self._uppers - _upper(luma))
        usable = unlike < MOST_UNLIKE**2
        if allowed is not None:
            usable &= allowed
        shifts = difference.argmin(axis=0)
        scores = difference.min(axis=0) + UPPER_WEIGHT * unlike
        scores[list(favored)] *= FAVOR
        order = np.argsort(np.where(usable, scores, np.inf), kind="stable")[: min(count, int(usable.sum()))]
        return [Match(int(index), _as_fraction(SHIFTS[shifts[index]])) for index in order]


def upper_difference(one: np.ndarray, other: np.ndarray) -> float:
    """By how much two upper faces differ, whatever their brightness: root mean square in levels.

    Args:
        one: (MATCH_PX, MATCH_PX) float32, as `match_luma` makes it.
        other: the same.
    """
    return float(np.sqrt(_mean_square(_upper(one) - _upper(other))))


def _as_fraction(shift: tuple[int, int]) -> tuple[float, float]:
    """Where the window of the painted face was moved to match, the exemplar lies the other way."""
    down, across = shift
    return -across / MATCH_PX, -down / MATCH_PX


def _upper(luma: np.ndarray) -> np.ndarray:
    return _window(blurred(luma, UPPER_BLUR_PX), UPPER, 0, 0)


def _window(luma: np.ndarray, part: tuple[tuple[float, float], tuple[float, float]], down: int, across: int):
    """The pixels of a part, moved by so many; their mean is 0."""
    (top, bottom), (left, right) = part
    padded = np.pad(luma, _REACH_PX, mode="edge")
    down, across = down + _REACH_PX, across + _REACH_PX
    rows = slice(round(top * MATCH_PX) + down, round(bottom * MATCH_PX) + down)
    columns = slice(round(left * MATCH_PX) + across, round(right * MATCH_PX) + across)
    pixels = padded[rows, columns].ravel()
    return pixels - pixels.mean()


def _mean_square(windows: np.ndarray) -> np.ndarray:
    return np.square(windows).mean(axis=-1)
