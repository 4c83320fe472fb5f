"""How blurred and noisy the painted mouths are, compared with the video's."""

from collections.abc import Sequence

import cv2
import numpy as np

from .luma import blurred
from .matching import MOUTH

# Pixels of the model's size. Energies are compared between neighboring ones of these blurs.
SCALES = (0.7, 1.4)
# Blurs that are tried; what an estimate is multiplied by: too little costs less than too much.
SIGMAS, CAUTION = np.array([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5]), 0.95
# Noise is measured in the flattest blocks: of so many pixels, this share of them.
BLOCK_PX, FLAT_SHARE = 4, 0.25


def mouth_energies(luma: np.ndarray) -> np.ndarray:
    """Energies of the bands of a mouth, without its noise: (len(SCALES) - 1,) float64, in squared levels.

    Args:
        luma: (S, S) float32, of the whole face.
    """
    (top, bottom), (left, right) = MOUTH
    height, width = luma.shape
    part = luma[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    noise = noise_variance(part)
    levels = [blurred(part, scale) for scale in SCALES]
    bands = [np.square(fine - coarse).mean(dtype=np.float64) for fine, coarse in zip(levels, levels[1:], strict=False)]
    return np.maximum(np.array(bands) - noise * _NOISE_GAINS[1:], 1e-3)


def noise_variance(part: np.ndarray) -> float:
    """Variance of the white noise in an image (h, w), in squared levels, seen where it is flattest."""
    fine = np.square(part - blurred(part, SCALES[0]))
    rows, columns = (max(1, extent // BLOCK_PX) for extent in part.shape)
    means = cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA)
    return float(np.quantile(means, FLAT_SHARE)) / _NOISE_GAINS[0]


class BlurGauge:
    """Compares painted mouths with exemplars of the same shape, frame after frame."""

    def __init__(self):
        self._painted = np.zeros(len(SCALES) - 1)
        self._curves = np.zeros((len(SIGMAS), len(SCALES) - 1))

    def add(self, painted: np.ndarray, curves: Sequence[np.ndarray]) -> None:
        """Adds a frame.

        Args:
            painted: its painted face, luma (S, S) float32.
            curves: `energy_curve` of the exemplars that look like it.
        """
        self._painted += mouth_energies(painted)
        self._curves += np.mean(curves, axis=0)

    def sigma(self) -> float:
        """The blur of the painted mouths in pixels, rather less than more, in tenths."""
        falling = np.minimum.accumulate(self._curves, axis=0)
        found = [
            float(np.interp(-np.log(energy), -np.log(curve), SIGMAS))
            for energy, curve in zip(self._painted, falling.T, strict=True)
        ]
        return round(CAUTION * float(np.mean(found)), 1)


def energy_curve(luma: np.ndarray) -> np.ndarray:
    """The energies of a mouth blurred by each of SIGMAS: (len(SIGMAS), len(SCALES) - 1).

    Args:
        luma: (S, S) float32, not blurred.
    """
    return np.stack([mouth_energies(blurred(luma, sigma)) for sigma in SIGMAS])


def _noise_gains() -> np.ndarray:
    """What is left of white noise of variance 1 above the first scale, and between the scales."""
    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 1
    levels = [point, *(blurred(point, scale) for scale in SCALES)]
    return np.array([np.square(fine - coarse).sum() for fine, coarse in zip(levels, levels[1:], strict=False)])


_NOISE_GAINS = _noise_gains()
