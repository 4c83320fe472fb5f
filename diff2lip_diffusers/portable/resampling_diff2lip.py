"""Resampling of audio: band-limited, as the original's training data was made."""

import math
from functools import lru_cache

import numpy as np
import torch

BLOCK_SAMPLES = 4096  # computed at a time; limits memory
# The window of the resampler that made the training data (resampy 0.4, "kaiser_best").
RESAMPLE_ZEROS, RESAMPLE_TABLE = 50, 2**13
RESAMPLE_ROLLOFF, RESAMPLE_BETA = 0.9173473712608761, 12.984585247040012


def resample(waveform: torch.Tensor, from_hz: int, to_hz: int) -> torch.Tensor:
    """Resamples a waveform, band-limited by a Kaiser-windowed sinc.

    Args:
        waveform: (T,) float32.
        from_hz: sampling rate of `waveform`.
        to_hz: sampling rate of the result.

    Returns:
        (ceil(T * to_hz / from_hz),) float32.

    Source: the original program, recorded in `tests/data/mel.npz`; Smith, "Digital Audio Resampling", 2002.
    """
    if from_hz == to_hz:
        return waveform
    divisor = math.gcd(from_hz, to_hz)
    step, phases = from_hz // divisor, to_hz // divisor
    weights = _resampling_weights(step, phases)
    taps = weights.shape[1] // 2
    padded = torch.nn.functional.pad(waveform, (taps - 1, taps + 1)).double()
    neighbors = padded.unfold(0, 2 * taps, 1)

    length = waveform.shape[0] * phases // step
    resampled = torch.zeros(math.ceil(waveform.shape[0] * phases / step))
    # Two buffers serve all blocks: allocating and freeing them for each block makes the process grow.
    nearby, weighted = torch.empty(2, min(BLOCK_SAMPLES, length), 2 * taps, dtype=torch.float64)
    for first in range(0, length, BLOCK_SAMPLES):
        positions = torch.arange(first, min(first + BLOCK_SAMPLES, length)) * step
        count = len(positions)
        torch.index_select(neighbors, 0, positions // phases, out=nearby[:count])
        torch.index_select(weights, 0, positions % phases, out=weighted[:count])
        resampled[first : first + count] = nearby[:count].mul_(weighted[:count]).sum(dim=1)
    return resampled


def resampling_reach(from_hz: int, to_hz: int) -> int:
    """Returns on how many samples after its own place a resampled value depends."""
    if from_hz == to_hz:
        return 0
    divisor = math.gcd(from_hz, to_hz)
    return _resampling_weights(from_hz // divisor, to_hz // divisor).shape[1] // 2


@lru_cache(maxsize=4)
def _resampling_weights(step: int, phases: int) -> torch.Tensor:
    """Weights of the input samples around an output sample, (phases, 2 * taps): half before it, half after it."""
    scale = min(1.0, phases / step)
    stride = int(scale * RESAMPLE_TABLE)
    offsets = np.arange(RESAMPLE_ZEROS * RESAMPLE_TABLE // stride + 1) * stride
    before = scale * np.arange(phases)[:, None] / phases * RESAMPLE_TABLE + offsets
    after = scale * (1 - np.arange(phases)[:, None] / phases) * RESAMPLE_TABLE + offsets
    window = _sinc_window()
    table = [np.interp(side, np.arange(len(window)), window, right=0.0) for side in (before, after)]
    return torch.from_numpy(scale * np.concatenate([table[0][:, ::-1], table[1]], axis=1))


@lru_cache(maxsize=1)
def _sinc_window() -> np.ndarray:
    """The right half of the windowed sinc, with `RESAMPLE_TABLE` entries per zero crossing."""
    count = RESAMPLE_ZEROS * RESAMPLE_TABLE
    sinc = RESAMPLE_ROLLOFF * np.sinc(RESAMPLE_ROLLOFF * np.linspace(0, RESAMPLE_ZEROS, count + 1))
    return np.kaiser(2 * count + 1, RESAMPLE_BETA)[count:] * sinc
