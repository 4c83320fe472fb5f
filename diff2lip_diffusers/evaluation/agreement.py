"""How well two curves over time agree: correlation, and by how many frames one lags behind."""

from dataclasses import dataclass

import numpy as np

MAX_LAG = 5


@dataclass(frozen=True)
class Agreement:
    """How well a measured curve follows the true one.

    Attributes:
        correlation: Pearson's, frame by frame, in [-1, 1]; 0 where either does not move.
        lag_frames: by how many frames the measured curve comes later where they agree best; negative for earlier.
    """

    correlation: float
    lag_frames: int


def agreement(measured: np.ndarray, true: np.ndarray, max_lag: int = MAX_LAG) -> Agreement:
    """How well `measured` (N,) follows `true` (N,).

    Raises:
        ValueError: if their lengths differ, or are too short for `max_lag`.
    """
    if measured.shape != true.shape or len(true) < 2 * max_lag + 2:
        raise ValueError(
            f"curves of {len(measured)} and {len(true)} frames, expected two of one length, {2 * max_lag + 2} or more"
        )
    lags = range(-max_lag, max_lag + 1)
    best = max(lags, key=lambda lag: _correlation(*_shifted(measured, true, lag)))
    return Agreement(_correlation(measured, true), best)


def _shifted(measured: np.ndarray, true: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The parts of both that meet when `measured` is taken `lag` frames later."""
    end = len(true) - abs(lag)
    return (measured[lag:], true[:end]) if lag >= 0 else (measured[:end], true[-lag:])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / scale) if scale > 1e-12 else 0.0
