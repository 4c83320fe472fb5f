"""What matching and flow look at: luma, small."""

import cv2
import numpy as np

# ITU-R BT.601.
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)
# Widths of a face in pixels: for the flow, and for matching.
FLOW_PX, MATCH_PX = 160, 48


def luma(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) to (h, w) float32."""
    return image.astype(np.float32, copy=False) @ WEIGHTS


def flow_luma(face: np.ndarray, first_row: int) -> np.ndarray:
    """The rows of a face (S, S, 3) from `first_row` on as the flow sees them: uint8, FLOW_PX wide."""
    size = face.shape[1]
    large = cv2.resize(luma(face), (FLOW_PX, FLOW_PX), interpolation=cv2.INTER_CUBIC)
    return np.rint(large[first_row * FLOW_PX // size :].clip(0, 255)).astype(np.uint8)


def match_luma(face: np.ndarray) -> np.ndarray:
    """A face (S, S, 3) as matching sees it: (MATCH_PX, MATCH_PX) float32."""
    return cv2.resize(luma(face), (MATCH_PX, MATCH_PX), interpolation=cv2.INTER_AREA)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image (h, w) or (h, w, C), Gaussian-blurred; the edge pixels are repeated outside."""
    if sigma < 0.05:
        return image
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
