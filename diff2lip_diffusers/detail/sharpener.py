"""The sharpener: painted crops in, sharpened ones out, one stretch of frames after another."""

import cv2
import numpy as np

from ..faces.search import is_cut
from .bank import Bank
from .blending import Blend, PaintedFace, agreement, blended_detail, resized
from .blur import BlurGauge
from .change import FINE_PX, ChangeLimit, mouth_level
from .enlargement import enlarged
from .flow import find_flow, warped
from .luma import blurred, luma, match_luma
from .matching import Match

# Blending weakens detail: it is multiplied by a power of how much it was weakened, less where the exemplars agree less
# with the painted face: what does not fit flickers.
STRENGTHENING, FITTING, LEAST_GAIN, MOST_GAIN = 7.0, 3.5, 0.75, 1.7
# How much of the last frame's detail stays where the painted faces differ by no more than so many levels, times the
# contrast. Of faces that are less blurred than by so many pixels, less stays.
STEADINESS, STEADY_TOLERANCE, STEADY_SIGMA = 0.8, 8.0, 0.1
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
        self._limit = ChangeLimit(bank.natural_change)
        self._last: tuple[PaintedFace, np.ndarray] | None = None
        self._last_crop: np.ndarray | None = None
        self._favored: list[int] = []

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
        matches = self.bank.looks.best(match_luma(face), BEST, allowed, self._favored)
        self._favored = [match.index for match in matches]
        if not matches:
            self._last = None
            return enlarged(face, self.bank.size, self._softness())
        self._learn_blur(face, matches)
        painted = PaintedFace.of(face, self.bank.first_row)
        result = enlarged(face, self.bank.size, self._softness())
        lower = result[self.bank.top :]
        fine = enlarged(face - blurred(face, FINE_PX), self.bank.size, self._softness(), self.bank.top)
        blend = blended_detail(painted, self.bank, matches)
        lower -= fine
        fine += gain_of(blend, self.bank.sigma) * np.float32(self._limit.share) * blend.detail
        self._steady(painted, fine)
        self._last = painted, fine
        lower += fine
        return result.clip(0, 255, out=result)

    def forget(self) -> None:
        """The next frame does not continue the last one."""
        self._last = self._last_crop = None
        self._favored = []

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

    def _steady(self, painted: PaintedFace, fine: np.ndarray) -> None:
        """Mixes the last frame's fine part into this one's, (r, R, 3), where the painted faces agree."""
        if self._last is None:
            return
        before, last_fine = self._last
        flow, tolerance = find_flow(painted.luma, before.luma), STEADY_TOLERANCE * self.bank.leniency
        kept = agreement(painted.lower, warped(before.lower, flow, cv2.INTER_CUBIC), tolerance)
        moved = warped(last_fine, flow, cv2.INTER_CUBIC)
        fine -= moved
        steadiness = STEADINESS * min(1.0, self.bank.sigma / STEADY_SIGMA)
        fine *= 1 - resized(np.float32(steadiness) * kept, self.bank)
        self._limit.add(mouth_level(fine, self.bank.top / self.bank.size))
        fine += moved


def gain_of(blend: Blend, sigma: float) -> np.float32:
    """What detail is multiplied by: it makes up for what blending took away, the more the better it fits.

    Args:
        blend: has the detail.
        sigma: how blurred the painted face is, in pixels: in a sharp one, there is little to make up for.
    """
    gain = np.clip(blend.agreed**FITTING * blend.weakened**STRENGTHENING, LEAST_GAIN, MOST_GAIN)
    return np.float32(min(gain, 1 + (gain - 1) * min(1.0, sigma / SOFT_SIGMA)))
