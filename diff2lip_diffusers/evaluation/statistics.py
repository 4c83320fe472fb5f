"""Means with confidence intervals over clips, and paired tests between systems."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 0


@dataclass(frozen=True)
class Summary:
    """A measure over all clips of a system.

    Attributes:
        mean: over clips.
        low: lower end of the 95 % confidence interval of the mean.
        high: its upper end.
        median: over clips.
        count: of clips.
    """

    mean: float
    low: float
    high: float
    median: float
    count: int


def summarize(values: Sequence[float] | np.ndarray) -> Summary:
    """Returns mean and percentile bootstrap interval over clips.

    Args:
        values: one number a clip, at least one.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    numbers = np.asarray(values, np.float64)
    low, high = np.quantile(_resampled_means(numbers), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Summary(float(numbers.mean()), float(low), float(high), float(np.median(numbers)), len(numbers))


def _resampled_means(numbers: np.ndarray) -> np.ndarray:
    """Means of samples drawn with replacement, a few at a time, so that memory does not grow with the clips."""
    draw = np.random.default_rng(SEED)
    rows = max(1, 1_000_000 // len(numbers))
    parts = [
        numbers[draw.integers(0, len(numbers), (min(rows, RESAMPLES - first), len(numbers)))].mean(axis=1)
        for first in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True)
class Difference:
    """One system against another on the clips that both have.

    Attributes:
        mean: of the differences, first less second.
        low: lower end of its 95 % confidence interval.
        high: its upper end.
        p_value: of the paired sign-flip test: how often chance alone gives a mean that far from 0.
        count: of clips.
    """

    mean: float
    low: float
    high: float
    p_value: float
    count: int


def compare(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Returns how two systems differ on the same clips.

    Args:
        first: one number a clip.
        second: those of the other system for the same clips, in the same order.

    Raises:
        ValueError: if the lengths differ or there is no clip.

    Source: Fisher's randomization test for paired samples, by flipped signs; exact up to 2^13 combinations, sampled
    beyond.
    """
    if len(first) != len(second) or not len(first):
        raise ValueError(f"`first` has {len(first)} and `second` {len(second)} clips, expected the same, at least one")
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    summary = summarize(differences)
    return Difference(summary.mean, summary.low, summary.high, _sign_flip_p_value(differences), summary.count)


def _sign_flip_p_value(differences: np.ndarray) -> float:
    count = len(differences)
    if count <= 13:
        flips = np.array(np.meshgrid(*[[-1, 1]] * count)).reshape(count, -1).T
        means = np.abs(flips @ differences) / count
        return float(np.mean(means >= abs(differences.mean()) - 1e-12))
    draw = np.random.default_rng(SEED)
    rows = max(1, 1_000_000 // count)
    hits = 0
    for first in range(0, RESAMPLES, rows):
        flips = draw.choice((-1.0, 1.0), (min(rows, RESAMPLES - first), count))
        hits += int(np.sum(np.abs(flips @ differences) / count >= abs(differences.mean()) - 1e-12))
    return (hits + 1) / (RESAMPLES + 1)
