"""Converts an utterance into mouth parameters over time, with coarticulation; lips lead the audio.

The mouth at a time t depends on the audio within `REACH_S` of t + `LEAD_S`. That is inside the window that the model
gets for the frame at t (40 ms before to 160 ms after it).

Source: Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993 (targets weighted by dominance).
"""

import numpy as np

from .espeak import Utterance
from .visemes import PARAMETERS, SILENCE, shape_within

GRID_HZ = 200
LEAD_S = 0.040
REACH_S = 0.070
CLOSED = 0.07  # smaller openings become closed lips
QUIETEST, LOUDEST = 0.6, 1.25  # factors of a vowel's opening, by loudness

OPENING, JAW = PARAMETERS.index("opening"), PARAMETERS.index("jaw")


def mouth_curve(utterance: Utterance, times_s: np.ndarray) -> np.ndarray:
    """The mouth parameters at given times.

    Args:
        utterance: the speech and its phonemes.
        times_s: (N,) seconds from the start of the utterance; before and after it the mouth is at rest.

    Returns:
        (N, 6) float32 in [0, 1], in the order of `visemes.PARAMETERS`.
    """
    grid, curve = _sampled_curve(utterance)
    times_s = np.asarray(times_s, dtype=np.float64)
    return np.stack([np.interp(times_s, grid, column) for column in curve.T], axis=-1).astype(np.float32)


def _sampled_curve(utterance: Utterance) -> tuple[np.ndarray, np.ndarray]:
    """Times (K,) and mouth parameters (K, 6) at `GRID_HZ`, from rest to rest."""
    margin = 2 * (LEAD_S + REACH_S)
    count = int(np.ceil((utterance.duration_s + 2 * margin) * GRID_HZ)) + 1
    grid = np.arange(count) / GRID_HZ - margin
    targets, dominances = _targets(utterance, grid + LEAD_S)
    loudness = _loudness(utterance, grid + LEAD_S)
    curve = _smooth(targets * dominances[:, None]) / _smooth(dominances[:, None])
    widening = (QUIETEST + (LOUDEST - QUIETEST) * _smooth(loudness[:, None]))[:, 0]
    curve[:, OPENING] = np.maximum(curve[:, OPENING] * widening - CLOSED, 0) / (1 - CLOSED)
    curve[:, JAW] *= widening
    return grid, np.clip(curve, 0, 1)


def _targets(utterance: Utterance, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unsmoothed targets (K, 6) and dominances (K,) of the phonemes at the times."""
    targets = np.tile(np.array(SILENCE.target), (len(times_s), 1))
    dominances = np.full(len(times_s), SILENCE.dominance)
    for phoneme in utterance.phonemes:
        first, last = np.searchsorted(times_s, (phoneme.start_s, phoneme.end_s))
        progress = (times_s[first:last] - phoneme.start_s) / (phoneme.end_s - phoneme.start_s)
        targets[first:last], dominances[first:last] = shape_within(phoneme.symbol, progress)
    return targets, dominances


def _loudness(utterance: Utterance, times_s: np.ndarray) -> np.ndarray:
    """Loudness at the times, (K,): 0 is silence, 1 the 90th percentile of the utterance."""
    power = np.concatenate([[0.0], np.cumsum(utterance.samples.astype(np.float64) ** 2)])
    half = 0.5 / GRID_HZ
    edges = [
        np.clip(np.round((times_s + side) * utterance.sampling_rate), 0, len(power) - 1) for side in (-half, half)
    ]
    mean_power = (power[edges[1].astype(int)] - power[edges[0].astype(int)]) / (utterance.sampling_rate / GRID_HZ)
    level = _smooth(np.sqrt(np.maximum(mean_power, 0))[:, None])[:, 0]
    spoken = level[level > 0.05 * level.max()] if level.max() > 0 else np.ones(1)
    return np.clip(np.sqrt(np.maximum(mean_power, 0)) / np.percentile(spoken, 90), 0, 1)


def _smooth(columns: np.ndarray) -> np.ndarray:
    """Columns (K, C) convolved with a raised cosine of `REACH_S` to either side; edge values are repeated."""
    half = round(REACH_S * GRID_HZ)
    kernel = np.hanning(2 * half + 1)
    kernel /= kernel.sum()
    padded = np.pad(columns, ((half, half), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=-1)
