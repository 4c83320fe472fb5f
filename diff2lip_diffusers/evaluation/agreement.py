"""Agreement of two curves over time: their correlation, and the lag between them."""

from dataclasses import dataclass

import numpy as np

MAX_LAG = 5


@dataclass(frozen=True)
class Agreement:
    """How well a measured curve follows the true one.

    Attributes:
        correlation: Pearson's, frame by frame, in [-1, 1]; 0 if either curve is constant.
        lag_frames: delay of the measured curve at which they correlate best; negative if it is early.
    """

    correlation: float
    lag_frames: int


def agreement(measured: np.ndarray, true: np.ndarray, max_lag: int = MAX_LAG) -> Agreement:
    """How well `measured` (N,) follows `true` (N,).

    Raises:
        ValueError: if their lengths differ, or they are too short for `max_lag`.
    """
    if measured.shape != true.shape or len(true) < 2 * max_lag + 2:
        raise ValueError(
            f"curves of {len(measured)} and {len(true)} frames, expected two of one length, {2 * max_lag + 2} or more"
        )
    lags = range(-max_lag, max_lag + 1)
    best = max(lags, key=lambda lag: _correlation(*_shifted(measured, true, lag)))
    return Agreement(_correlation(measured, true), best)


def _shifted(measured: np.ndarray, true: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The overlapping parts of both curves when `measured` is delayed by `lag` frames."""
    end = len(true) - abs(lag)
    return (measured[lag:], true[:end]) if lag >= 0 else (measured[:end], true[-lag:])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 1e-12 else 0.0
