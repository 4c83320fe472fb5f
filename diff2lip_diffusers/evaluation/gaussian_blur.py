"""The Gaussian blur that measures and controls share."""

import numpy as np


def gaussian_blur(frame: np.ndarray, sigma_px: float) -> np.ndarray:
    """Returns a frame (H, W, 3) uint8 after a Gaussian of this width, edges repeated."""
    reach = int(3 * sigma_px + 0.5)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma_px**2))
    weights = (weights / weights.sum()).astype(np.float32)
    height, width = frame.shape[:2]
    padded = np.pad(frame.astype(np.float32), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    rows = sum(weight * padded[index : index + height] for index, weight in enumerate(weights))
    both = sum(weight * rows[:, index : index + width] for index, weight in enumerate(weights))  # pyright: ignore
    return np.clip(np.round(both), 0, 255).astype(np.uint8)
