"""How much fine detail changes from one frame to the next, beyond what moves along."""

from collections.abc import Sequence

import numpy as np

from .enlargement import enlarged
from .exemplars import Exemplar
from .flow import find_flow, warped
from .luma import blurred, luma
from .matching import MOUTH

# Finer than this blur, in pixels of the model's size, is fine.
FINE_PX = 1.0
# So many pairs of exemplars are compared.
PAIRS = 16
# What is measured at each how many pixels.
SPARSE_PX = 2
# Weight of a frame in the mean of those so far, at least; the detail is weakened down to this at most.
RECENT, LEAST_SHARE = 0.05, 0.4
# Detail may change so many times as much as exemplars do.
LENIENCE = 1.0


def natural_change(exemplars: Sequence[Exemplar], first_row: int) -> float:
    """By how much the fine detail of mouths differs between neighboring exemplars, in levels; infinite for one alone.

    Args:
        exemplars: in the order of their video, or of several videos one after another.
        first_row: in the model's size, of the rows that they show in full resolution.
    """
    neighbors = zip(exemplars, exemplars[1:], strict=False)
    pairs = [(a, b) for a, b in neighbors if a.number < b.number and a.size == b.size]
    if not pairs:
        return np.inf
    least = min(b.number - a.number for a, b in pairs)
    nearest = [(a, b) for a, b in pairs if b.number - a.number == least]
    chosen = np.unique(np.linspace(0, len(nearest) - 1, PAIRS).round().astype(int))
    return float(np.mean([_change(nearest[index][0], nearest[index][1], first_row) for index in chosen]))


def _change(here: Exemplar, there: Exemplar, first_row: int) -> float:
    flow = find_flow(_gray(here), _gray(there))
    return mouth_level(_fine(here, first_row) - warped(_fine(there, first_row), flow), first_row / here.small.shape[0])


def _gray(one: Exemplar) -> np.ndarray:
    return np.rint(luma(one.detailed)).astype(np.uint8)


def _fine(one: Exemplar, first_row: int) -> np.ndarray:
    small = blurred(one.small.astype(np.float32), FINE_PX)
    top = one.size - one.detailed.shape[0]
    return one.detailed - enlarged(small, one.size, first_row=top)


def mouth_level(lower: np.ndarray, top: float) -> float:
    """Root mean square over the mouth.

    Args:
        lower: (r, R, 3), the lower rows of a face.
        top: where they begin, as a fraction of the face.
    """
    size = lower.shape[1]
    (first, last), (left, right) = MOUTH
    rows = slice(int((first - top) * size), int((last - top) * size), SPARSE_PX)
    return float(np.sqrt(np.square(lower[rows, int(left * size) : int(right * size) : SPARSE_PX]).mean()))


class ChangeLimit:
    """Weakens detail so that it changes from frame to frame about as much as the video's own does.

    Args:
        natural: how much that changes.

    Attributes:
        share: what detail is multiplied by.
    """

    def __init__(self, natural: float):
        self.natural, self.share = natural, 1.0
        self._mean, self._count = 0.0, 0

    def add(self, change: float) -> None:
        """Adds by how much the detail of a frame changed."""
        self._count += 1
        self._mean += max(RECENT, 1 / self._count) * (change / self.share - self._mean)
        self.share = float(np.clip(LENIENCE * self.natural / max(self._mean, 1e-6), LEAST_SHARE, 1.0))
