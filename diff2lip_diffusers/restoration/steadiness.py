"""Steadiness: what a restorer adds to a frame continues what it added to the frame before."""

import cv2
import numpy as np

from ..detail.blending import agreement
from ..detail.exemplars import scaled
from ..detail.flow import find_flow, warped
from ..detail.luma import blurred, flow_luma
from ..detail.sharpener import STEADINESS, STEADY_TOLERANCE

# Faces are compared in this size.
COMPARED_PX = 128
# Larger structures than this, as a fraction of the image, are light and colors: those of the painted face stay.
COLOR_FRACTION = 1 / 16


class SteadyRestoration:
    """Takes what a restorer makes of frame after frame; keeps the colors, and less flickers."""

    def __init__(self):
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def forget(self) -> None:
        """The next frame does not continue the last one."""
        self._last = None

    def __call__(self, image: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """The restored image to show, (h, w, 3) float32.

        Args:
            image: what was restored, (n, m, 3) uint8.
            restored: what it became, (h, w, 3) float32 in [0, 255].
        """
        height, width = restored.shape[:2]
        base = cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        added = restored - base
        added -= _smooth(added)
        small = scaled(image, COMPARED_PX, COMPARED_PX).astype(np.float32)
        luma = flow_luma(small, 0)
        if self._last is not None and self._last[2].shape == added.shape:
            added += STEADINESS * self._continued(small, luma, added)
        self._last = small, luma, added
        return base + added

    def _continued(self, small: np.ndarray, luma: np.ndarray, added: np.ndarray) -> np.ndarray:
        """What must be added so that a frame continues the last one wholly, where the two agree."""
        assert self._last is not None
        last_small, last_luma, last_added = self._last
        height, width = added.shape[:2]
        flow = find_flow(luma, last_luma)
        kept = agreement(small, warped(last_small, flow, cv2.INTER_CUBIC), STEADY_TOLERANCE)
        kept = cv2.resize(kept, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        return kept * (_warped_to(last_added, flow) - added)


def _warped_to(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """An image of any shape along a square flow."""
    height, width = image.shape[:2]
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    steps = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    across += steps[..., 0] * np.float32(width / flow.shape[1])
    down += steps[..., 1] * np.float32(height / flow.shape[0])
    return cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _smooth(image: np.ndarray) -> np.ndarray:
    """The large structures of an image (h, w, 3)."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (COMPARED_PX, COMPARED_PX), interpolation=cv2.INTER_AREA)
    return cv2.resize(blurred(small, COLOR_FRACTION * COMPARED_PX), (width, height), interpolation=cv2.INTER_CUBIC)
