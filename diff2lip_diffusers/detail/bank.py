"""The bank: the exemplars that a stretch of frames can use, as blurred as the model paints."""

from collections.abc import Sequence

import cv2
import numpy as np

from .blur import energy_curve
from .change import natural_change
from .exemplars import PARTS, Exemplar
from .luma import MATCH_PX, blurred, flow_luma, luma, match_luma
from .matching import Looks

# Levels of a mouth of little contrast, and how many times as much contrast counts: a mouth that is a little elsewhere
# differs more where there is more.
LOW_CONTRAST, MOST_CONTRAST = 22.0, 1.25
# Blur from which on all of the contrast counts; a face that is not blurred is to be matched exactly.
BLURRED = 0.3
# Up to this R / S, full resolution is warped by cubics.
MOST_CUBIC_FACTOR = 8


class Bank:
    """Exemplars of one face.

    Args:
        exemplars: one or more, all of the same S.
        first_row: in the model's size, of the rows that get detail.

    Attributes:
        size: R.
        small_size: S.
        first_row: in the model's size, of the rows that get detail.
        sigma: how blurred the small faces are, in pixels of the model's size.
        natural_change: by how many levels fine detail changes from exemplar to exemplar.
    """

    def __init__(self, exemplars: Sequence[Exemplar], first_row: int):
        self.small_size, self.first_row = exemplars[0].small.shape[0], first_row
        part = self.small_size // PARTS
        self.size = int(np.median([exemplar.size for exemplar in exemplars])) // part * part
        self.numbers = np.array([exemplar.number for exemplar in exemplars])
        self._exemplars = exemplars
        self._curves: dict[int, np.ndarray] = {}
        self.natural_change = natural_change(exemplars, first_row)
        self.blur(0.0)

    def __len__(self) -> int:
        return len(self._exemplars)

    @property
    def warping(self) -> int:
        """How full resolution is warped: linear weakens the finest detail, which shows where R is not far above S."""
        return cv2.INTER_CUBIC if self.size <= MOST_CUBIC_FACTOR * self.small_size else cv2.INTER_LINEAR

    @property
    def top(self) -> int:
        """The first row that gets detail, in the sharpened crop."""
        return self.first_row * self.size // self.small_size

    def blur(self, sigma: float) -> None:
        """Blurs the small faces as much as the model does."""
        self.sigma = sigma
        self._blurred: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        lumas = np.dstack([match_luma(exemplar.small) for exemplar in self._exemplars])
        lumas = blurred(lumas, sigma * MATCH_PX / self.small_size).reshape(MATCH_PX, MATCH_PX, -1)
        self.looks = Looks(np.ascontiguousarray(lumas.transpose(2, 0, 1)))

    @property
    def leniency(self) -> float:
        """How many times as much as usual faces may differ from each other, at least 1."""
        contrast = np.clip(self.looks.contrast / LOW_CONTRAST, 1.0, MOST_CONTRAST)
        return float(1 + (contrast - 1) * min(1.0, self.sigma / BLURRED))

    def small(self, index: int) -> np.ndarray:
        """The lower part of a blurred small face, (s, S, 3) float32."""
        return self._as_painted(index)[0]

    def luma(self, index: int) -> np.ndarray:
        """The same as the flow sees it."""
        return self._as_painted(index)[1]

    def detailed(self, index: int) -> np.ndarray:
        """The lower part of a face in full resolution, (r, R, 3) uint8."""
        detailed = self._exemplars[index].detailed
        rows = self.size - self.top
        if detailed.shape[:2] == (rows, self.size):
            return detailed
        return cv2.resize(detailed, (self.size, rows), interpolation=cv2.INTER_LINEAR)

    def energies(self, index: int) -> np.ndarray:
        """The `energy_curve` of a small face."""
        if index not in self._curves:
            self._curves[index] = energy_curve(luma(self._exemplars[index].small))
        return self._curves[index]

    def _as_painted(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if index not in self._blurred:
            face = blurred(self._exemplars[index].small.astype(np.float32), self.sigma)
            self._blurred[index] = face[self.first_row :], flow_luma(face, self.first_row)
        return self._blurred[index]
