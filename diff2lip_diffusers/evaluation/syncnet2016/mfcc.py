"""MFCC of speech as the SyncNet of 2016 takes them: 13 coefficients every 10 ms, computed in float64.

Letters in shapes: S samples, T steps of 10 ms.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SAMPLING_RATE = 16000
FRAME_SAMPLES, HOP_SAMPLES, FFT_SIZE = 400, 160, 512
MEL_FILTERS, COEFFICIENTS = 26, 13
PREEMPHASIS, LIFTER = 0.97, 22
# Steps computed at a time; bounds the memory.
BLOCK_STEPS = 2048
# Stands in for an exact zero in front of a logarithm.
LEAST_ENERGY = np.finfo(np.float64).eps


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Mel-frequency cepstral coefficients of speech at 16 kHz; the first one is replaced by the log energy.

    Frames of 25 ms every 10 ms, not centered, without a window function.

    Args:
        samples: (S,) raw 16-bit values in [-32768, 32767], of any type; S is 1 or more.

    Returns:
        (T, 13) float64, T being 1 + ceil((S - 400) / 160), at least 1.

    Raises:
        ValueError: if `samples` is empty or not one-dimensional.

    Source: SYNCNET2016 section 2; the defaults of python_speech_features 0.6.
    """
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"`samples` has shape {samples.shape}, expected (S,), S 1 or more")
    filters = mel_filters()
    return np.concatenate([_coefficients(frames, filters) for frames in _frame_blocks(_emphasized(samples))])


def mel_filters() -> np.ndarray:
    """Triangular filters (26, 257) over the bins of a 512-point spectrum, equally spaced in mel from 0 to 8000 Hz."""
    mel = np.linspace(0, 2595 * math.log10(1 + SAMPLING_RATE / 2 / 700), MEL_FILTERS + 2)
    corners = np.floor((FFT_SIZE + 1) * 700 * (10 ** (mel / 2595) - 1) / SAMPLING_RATE)
    bins = np.arange(FFT_SIZE // 2 + 1)
    low, peak, high = (corners[shift : shift + MEL_FILTERS, None] for shift in range(3))
    rising = np.where((low <= bins) & (bins < peak), (bins - low) / np.maximum(peak - low, 1), 0)
    falling = np.where((peak <= bins) & (bins < high), (high - bins) / np.maximum(high - peak, 1), 0)
    return rising + falling


def cosine_matrix() -> np.ndarray:
    """The orthonormal DCT-II of 26 values, first 13 coefficients, liftered: (26, 13), to multiply from the right."""
    steps, orders = np.arange(MEL_FILTERS)[:, None], np.arange(COEFFICIENTS)
    cosines = np.cos(math.pi * orders * (2 * steps + 1) / (2 * MEL_FILTERS)) * math.sqrt(2 / MEL_FILTERS)
    cosines[:, 0] /= math.sqrt(2)
    return cosines * (1 + LIFTER / 2 * np.sin(math.pi * orders / LIFTER))


def _emphasized(samples: np.ndarray) -> np.ndarray:
    signal = samples.astype(np.float64)
    signal[1:] -= PREEMPHASIS * signal[:-1]
    return signal


def _frame_blocks(signal: np.ndarray) -> Iterator[np.ndarray]:
    """Views (K, 400) of the signal, completed with zeros, K being BLOCK_STEPS or less."""
    steps = 1 + max(0, math.ceil((len(signal) - FRAME_SAMPLES) / HOP_SAMPLES))
    missing = FRAME_SAMPLES + (steps - 1) * HOP_SAMPLES - len(signal)
    frames = sliding_window_view(np.pad(signal, (0, missing)), FRAME_SAMPLES)[::HOP_SAMPLES]
    return (frames[start : start + BLOCK_STEPS] for start in range(0, steps, BLOCK_STEPS))


def _coefficients(frames: np.ndarray, filters: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(frames, FFT_SIZE)) ** 2 / FFT_SIZE
    found = np.log(_above_zero(power @ filters.T)) @ cosine_matrix()
    found[:, 0] = np.log(_above_zero(power.sum(axis=1)))
    return found


def _above_zero(energy: np.ndarray) -> np.ndarray:
    return np.where(energy == 0, LEAST_ENERGY, energy)
