"""Audio as callers pass it: one recording or a batch, floats or full-scale integers, to mono."""

from typing import Any

import numpy as np
import torch

MAX_CHANNELS = 32
# Decoders of compressed audio go a little beyond full scale.
MAX_LEVEL = 2.0
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32)
EXPECTED = "expected floats in [-1, 1], or full-scale uint8, int8, int16 or int32"


def is_batch(audio: Any) -> bool:
    """Returns whether audio is a list of recordings, as in transformers; a list of numbers is one recording."""
    return isinstance(audio, (list, tuple)) and len(audio) > 0 and not isinstance(audio[0], (int, float, np.number))


def to_mono(audio: Any) -> torch.Tensor:
    """Returns (T,) float32 in [-1, 1]: scales integers by their full scale and averages channels.

    Args:
        audio: (T,), (T, C) or (C, T); an array, a tensor or a list of floats.

    Raises:
        ValueError: if it has another shape, type or range.
    """
    samples = _to_tensor(audio)
    if samples.numel() == 0:
        raise ValueError("`audio` is empty, expected samples")
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and min(samples.shape) > MAX_CHANNELS):
        raise ValueError(
            f"`audio` has shape {tuple(samples.shape)}, expected (T,), (T, C) or (C, T), or a list of these"
        )
    if not samples.is_floating_point():
        samples = _from_integers(samples)
    if samples.ndim == 2:
        samples = samples.mean(dim=int(samples.shape[1] <= samples.shape[0]))
    if not samples.isfinite().all():
        raise ValueError("`audio` has values that are not finite")
    level = samples.abs().amax().item()
    if level > MAX_LEVEL:
        raise ValueError(f"`audio` has values up to {level:g}, {EXPECTED}")
    return samples.float()


def _to_tensor(audio: Any) -> torch.Tensor:
    if torch.is_tensor(audio):
        return audio.detach().cpu()
    try:
        array = np.asarray(audio)
        return torch.as_tensor(array.astype(np.float32) if isinstance(audio, (list, tuple)) else array)
    except (TypeError, ValueError) as error:  # text, objects, lists of unequal lengths
        kind = getattr(audio, "dtype", type(audio).__name__)
        raise ValueError(f"`audio` is of type {kind}, {EXPECTED}") from error


def _from_integers(samples: torch.Tensor) -> torch.Tensor:
    if samples.dtype not in INTEGERS:
        raise ValueError(f"`audio` is of type {str(samples.dtype).removeprefix('torch.')}, {EXPECTED}")
    if samples.dtype == torch.uint8:
        return (samples.float() - 128) / 128
    return samples.double() / -torch.iinfo(samples.dtype).min
