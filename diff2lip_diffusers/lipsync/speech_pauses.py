"""Pauses of speech: where nobody speaks, so that the mouth can rest."""

import numpy as np
import torch

# A mel step is silent this many dB below the loud parts of its recording, which 5 % of the steps exceed.
SILENCE_BELOW_LOUD_DB, LOUD_QUANTILE = 35.0, 0.95
# Shorter pauses are closures within words.
MIN_PAUSE_S = 0.2
# A mouth closes and opens in this time, within the pause.
RAMP_S = 0.08
# The scale of mel steps: their range in dB, and that in which they are stored.
RANGE_DB, RANGE = 100.0, 8.0


def rest_weights(mel: torch.Tensor, steps_per_s: float) -> np.ndarray:
    """How far the mouth rests at each mel step, (M,) float32: 0 while somebody speaks, 1 inside pauses.

    Args:
        mel: (80, M) float32 in [-4, 4].
        steps_per_s: mel steps a second.
    """
    levels = step_levels(mel)
    if not len(levels):
        return np.zeros(0, np.float32)
    silent = levels < np.quantile(levels, LOUD_QUANTILE) - SILENCE_BELOW_LOUD_DB
    weights = np.zeros(len(levels), np.float32)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
    for first, end in edges.reshape(-1, 2):
        if end - first >= MIN_PAUSE_S * steps_per_s:
            steps = np.arange(first, end)
            before = (steps - first + 1) if first > 0 else np.inf
            after = (end - steps) if end < len(levels) else np.inf
            weights[first:end] = np.clip(np.minimum(before, after) / (RAMP_S * steps_per_s), 0, 1)
    return weights


def step_levels(mel: torch.Tensor) -> np.ndarray:
    """The level of each mel step over all bands, (M,) float64 in dB."""
    bands_db = mel.double().numpy() * (RANGE_DB / RANGE)
    return 10 * np.log10(np.mean(10 ** (bands_db / 10), axis=0))
