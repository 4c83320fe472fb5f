"""Weights and images that the recorded features, FID and KID of torch-fidelity belong to; see data/README.md."""

import zlib
from functools import cache

import numpy as np

SIZES = {"small": (60, 84), "odd": (299, 173), "large": (360, 640)}
SET_SIZES, SET_SHAPE = (12, 10), (72, 96)
SUBSET_SIZE, SUBSETS = 6, 100


def made_up_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the weight of the recording: values keep their size through the layers."""
    draw = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = draw.standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:
        return values * np.float32((2 / np.prod(shape[1:])) ** 0.5)
    if name.endswith("running_var"):
        return np.exp(0.1 * values)
    return 1 + 0.1 * values if name.endswith("weight") else 0.1 * values


def images(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """Returns images (count, 3, height, width) uint8: a fine pattern, whose brightness and colors the seed chooses."""
    draw = np.random.Generator(np.random.PCG64(seed))
    y, x = np.ogrid[0:height, 0:width]
    found = np.empty((count, 3, height, width), np.uint8)
    for image in found:
        for channel in image:
            a, b, c, d = draw.integers(1, 40, 4)
            channel[:] = (a * x + b * y + (x * y) // c + 3 * d + 40 * (seed % 3)) % 256 // (1 + seed % 2)
    return found


@cache
def two_sets() -> tuple[np.ndarray, np.ndarray]:
    """The two small sets of images whose distances were recorded."""
    return images(1, SET_SIZES[0], *SET_SHAPE), images(2, SET_SIZES[1], *SET_SHAPE)
