"""Enlargement by cubic kernels."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def cubic_weights(size: int, new_size: int, b: float) -> np.ndarray:
    """Weights (new_size, size) float32 of the old pixels of a row in the new ones; edge pixels are repeated outside.

    Args:
        size: old length in pixels.
        new_size: new length in pixels.
        b: B of Mitchell and Netravali's cubics with B + 2C = 1; 0 is Catmull-Rom, more is softer.

    Source: Mitchell and Netravali, "Reconstruction Filters in Computer Graphics", 1988.
    """
    shrink = max(1.0, size / new_size)
    centers = (np.arange(new_size)[:, None] + 0.5) * size / new_size - 0.5
    neighbors = np.floor(centers - 2 * shrink) + 1 + np.arange(int(np.ceil(4 * shrink)))
    weights = _cubic(np.abs(neighbors - centers) / shrink, b)
    matrix = np.zeros((new_size, size), np.float32)
    inside = neighbors.clip(0, size - 1).astype(int)
    np.add.at(matrix, (np.arange(new_size)[:, None], inside), weights / weights.sum(axis=1, keepdims=True))
    return matrix


def enlarged(image: np.ndarray, size: int, b: float = 0.0, first_row: int = 0, step: int = 1) -> np.ndarray:
    """Scales (S, S, 3) float32 to (size - first_row, size, 3): all rows of the larger image from `first_row` on.

    With a `step`, it computes only each such row and column of that.
    """
    weights = cubic_weights(image.shape[1], size, b)
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    return np.ascontiguousarray((weights[first_row::step] @ planes @ weights[::step].T).transpose(1, 2, 0))


def _cubic(x: np.ndarray, b: float) -> np.ndarray:
    """Mitchell and Netravali's kernel at distances x >= 0, with C = (1 - B) / 2."""
    c = (1 - b) / 2
    near = (12 - 9 * b - 6 * c) * x**3 + (12 * b + 6 * c - 18) * x**2 + 6 - 2 * b
    far = -(b + 6 * c) * x**3 + (6 * b + 30 * c) * x**2 - (12 * b + 48 * c) * x + 8 * b + 24 * c
    return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6
