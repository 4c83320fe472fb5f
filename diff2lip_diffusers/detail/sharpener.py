"""The sharpener: painted crops in, sharpened ones out, one stretch of frames after another."""

import cv2
import numpy as np

from ..faces.search import is_cut
from .bank import Bank
from .blending import PaintedFace, agreement, blended_detail, resized
from .blur import BlurGauge
from .enlargement import enlarged
from .flow import find_flow, warped
from .luma import luma, match_luma
from .matching import Match

# The detail is multiplied by this: blending weakens it, the more the less the exemplars agree with the painted face,
# and the more blurred that is.
LEAST_GAIN, MOST_GAIN, GAIN_STEEPNESS = 1.2, 1.6, 2.5
# How much of the last frame's detail stays, and how many levels the painted faces may differ there.
STEADINESS, STEADY_TOLERANCE = 0.85, 6.0
# Blur from which on the enlargement is softest, and B of its kernel there.
SOFT_SIGMA, SOFT_B = 1.0, 0.3
# How many exemplars are blended.
BEST = 4


class MouthSharpener:
    """Adds detail to the painted faces of one stretch of frames, in order.

    Args:
        bank: the exemplars of the stretch.
    """

    def __init__(self, bank: Bank):
        self.bank = bank
        self._gauge, self._gauged = BlurGauge(), 0
        self._last: tuple[PaintedFace, np.ndarray] | None = None
        self._last_crop: np.ndarray | None = None

    def __call__(self, face: np.ndarray, crop: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
        """The sharpened face, (R, R, 3) float32 in [0, 255].

        Args:
            face: (S, S, 3) float32 in [0, 255], painted, in the colors of the video.
            crop: (S, S, 3) uint8, the frame's own face; tells where the video cuts.
            allowed: (N,) bool, which exemplars may be taken; all by default.
        """
        if self._last_crop is not None and is_cut(self._last_crop, crop):
            self.forget()
        self._last_crop = crop
        matches = self.bank.looks.best(match_luma(face), BEST, allowed)
        if not matches:
            self._last = None
            return enlarged(face, self.bank.size, self._softness())
        self._learn_blur(face, matches)
        painted = PaintedFace.of(face, self.bank.first_row)
        result = enlarged(face, self.bank.size, self._softness())
        detail, agreed = blended_detail(painted, self.bank, matches)
        detail = self._steadied(painted, gain_of(agreed, self.bank.sigma) * detail)
        self._last = painted, detail
        result[self.bank.top :] += detail
        return result.clip(0, 255, out=result)

    def forget(self) -> None:
        """The next frame does not continue the last one."""
        self._last = self._last_crop = None

    def _learn_blur(self, face: np.ndarray, matches: list[Match]) -> None:
        """Measures the blur anew after 1, 2, 4, 8 … frames."""
        self._gauge.add(luma(face), [self.bank.energies(match.index) for match in matches])
        self._gauged += 1
        if self._gauged & (self._gauged - 1):
            return
        sigma = self._gauge.sigma()
        if sigma != self.bank.sigma:
            self.bank.blur(sigma)

    def _softness(self) -> float:
        """B of the enlarging kernel."""
        return SOFT_B * min(1.0, self.bank.sigma / SOFT_SIGMA)

    def _steadied(self, painted: PaintedFace, detail: np.ndarray) -> np.ndarray:
        """The detail, mixed with the last frame's where that fits."""
        if self._last is None:
            return detail
        before, last_detail = self._last
        flow = find_flow(painted.luma, before.luma)
        kept = agreement(painted.lower, warped(before.lower, flow, cv2.INTER_CUBIC), STEADY_TOLERANCE)
        return detail + STEADINESS * resized(kept, self.bank) * (warped(last_detail, flow) - detail)


def gain_of(agreed: np.ndarray, sigma: float) -> np.float32:
    """What detail is multiplied by.

    Args:
        agreed: (s, S) in [0, 1], how far the blended exemplars agree with the painted face.
        sigma: how blurred that is, in pixels.
    """
    disagreement = 1 - agreed[:, agreed.shape[1] // 6 : -agreed.shape[1] // 6].mean()
    return np.float32(np.clip(LEAST_GAIN + GAIN_STEEPNESS * disagreement * min(1.0, sigma), LEAST_GAIN, MOST_GAIN))
