"""Distances between two sets of features: Fréchet's, behind FID and FVD, and the kernel distance, KID."""

from collections.abc import Callable

import numpy as np

# As torch-fidelity draws them.
KID_SUBSETS, KID_SUBSET_SIZE, KID_SEED = 100, 1000, 2020
# Eigenvalues below this part of the largest one are rounding errors of 0.
ROUNDING = 16 * np.finfo(np.float64).eps


class Moments:
    """Mean and covariance of features that come in parts; its size does not depend on their number.

    Args:
        size: numbers of one feature vector, D.

    Attributes:
        count: of vectors so far.
        mean: (D,) float64.

    Source: Chan, Golub and LeVeque 1983 (moments of two parts together).
    """

    def __init__(self, size: int):
        self.count = 0
        self.mean = np.zeros(size)
        self._scatter = np.zeros((size, size))

    def add(self, features: np.ndarray) -> None:
        """Takes in vectors (N, D)."""
        if not len(features):
            return
        part = features.astype(np.float64)
        mean = part.mean(axis=0)
        centered = part - mean
        step, total = mean - self.mean, self.count + len(part)
        self._scatter += centered.T @ centered
        self._scatter += np.outer(step, step) * (self.count * len(part) / total)
        self.mean += step * (len(part) / total)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """(D, D) float64, unbiased; needs two vectors."""
        return self._scatter / (self.count - 1)


def frechet_distance(one: Moments, other: Moments) -> float:
    """Returns the squared Fréchet distance of two normal distributions, 0 or more.

    |m₁ - m₂|² + tr(S₁ + S₂ - 2 (S₁ S₂)^½). The trace of the last root is the sum of the singular values of R₁ᵀ R₂ with
    R Rᵀ = S, which have no rounding errors of the size of a root, even with fewer vectors than dimensions.

    Raises:
        ValueError: if either has fewer than 2 vectors.

    Source: Dowson and Landau 1982; Heusel et al. 2017 (FID).
    """
    if min(one.count, other.count) < 2:
        raise ValueError(f"`one` has {one.count} and `other` {other.count} vectors, expected 2 or more")
    covariances = one.covariance, other.covariance
    root, other_root = (_root(covariance) for covariance in covariances)
    shared = np.linalg.svd(root.T @ other_root, compute_uv=False).sum()
    step = one.mean - other.mean
    return max(0.0, float(step @ step + sum(map(np.trace, covariances)) - 2 * shared))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R (D, K) with R Rᵀ equal to the covariance (D, D); K is its rank."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > ROUNDING * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def kernel_distance(
    rows: Callable[[np.ndarray], np.ndarray],
    other_rows: Callable[[np.ndarray], np.ndarray],
    count: int,
    other_count: int,
    subset_size: int = KID_SUBSET_SIZE,
    subsets: int = KID_SUBSETS,
) -> float:
    """Returns the mean of unbiased squared kernel distances between random subsets; it may lie a little below 0.

    Args:
        rows: gives the vectors (K, D) of the first set with numbers (K,).
        other_rows: the same of the second set.
        count: of vectors in the first set.
        other_count: of those in the second set.
        subset_size: vectors in a subset, at most; smaller sets make smaller subsets.
        subsets: how many pairs of subsets are drawn.

    Raises:
        ValueError: if either set has fewer than 2 vectors.

    Source: Binkowski et al. 2018 (KID), with the kernel (x·y / D + 1)³; subsets are those of torch-fidelity 0.4.0.
    """
    size = min(subset_size, count, other_count)
    if size < 2:
        raise ValueError(f"`count` is {count} and `other_count` {other_count}, expected 2 or more")
    if size == count == other_count:
        subsets = 1  # all subsets are the sets themselves
    draw = np.random.RandomState(KID_SEED)
    found = [
        _squared_discrepancy(
            rows(draw.choice(count, size, replace=False)), other_rows(draw.choice(other_count, size, replace=False))
        )
        for _ in range(subsets)
    ]
    return float(np.mean(found))


def _squared_discrepancy(one: np.ndarray, other: np.ndarray) -> float:
    """The unbiased estimate for two sets (K, D) of the same number of vectors."""
    size = len(one)
    own = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(one, one), _kernel(other, other)))
    return float(own / (size * (size - 1)) - 2 * _kernel(one, other).mean())


def _kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((one @ other.T).astype(np.float64) / one.shape[1] + 1) ** 3
