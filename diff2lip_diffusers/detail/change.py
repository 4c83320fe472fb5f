"""How much fine detail changes from one frame to the next, beyond what moves along."""

import numpy as np

from .matching import MOUTH

# What is measured at each how many pixels.
SPARSE_PX = 2
# Detail whose change is a larger share of it than this is weakened, down to this part of it at most.
MOST_CHANGE, LEAST_SHARE = 0.25, 0.55
# Weight of a frame in the mean of those so far, at least.
RECENT = 0.05


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
    """Weakens detail that changes too much from frame to frame: it flickers, as what it is added to does not fit.

    Attributes:
        share: what detail is multiplied by.
    """

    def __init__(self):
        self.share = 1.0
        self._mean, self._count = 0.0, 0

    def add(self, change: float, level: float) -> None:
        """Adds a frame.

        Args:
            change: by how many levels its detail differs from the last frame's, moved along.
            level: of all its detail.
        """
        self._count += 1
        self._mean += max(RECENT, 1 / self._count) * (change / max(level, 1e-6) - self._mean)
        self.share = float(np.clip(MOST_CHANGE / max(self._mean, 1e-6), LEAST_SHARE, 1.0))
