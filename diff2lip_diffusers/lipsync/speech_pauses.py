"""Pauses of speech: where nobody speaks, so that the mouth can rest."""

import numpy as np
import torch
import torch.nn.functional as F

from ..portable.pipeline_diff2lip import Diff2LipPipeline

# A mel step is silent this many dB below the loud parts of its recording, which 5 % of the steps exceed.
SILENCE_BELOW_LOUD_DB, LOUD_QUANTILE = 35.0, 0.95
# Louder steps are noise without speech if they are this many dB below, and the audio embedding is nearer to that of
# silence than this share of what it is in the median of steps that are less far below.
NOISE_BELOW_LOUD_DB, NEAR_SILENCE = 12.0, 0.25
# Every so-many-th step is embedded, so many at a time.
EMBEDDED_STEPS, EMBEDDED_AT_A_TIME = 4, 64
# Shorter pauses are closures within words.
MIN_PAUSE_S = 0.2
# A mouth closes and opens in this time, within the pause.
RAMP_S = 0.08
# The scale of mel steps: their range in dB, and that in which they are stored.
RANGE_DB, RANGE = 100.0, 8.0


def rest_weights(mel: torch.Tensor, steps_per_s: float, distances: np.ndarray | None = None) -> np.ndarray:
    """How far the mouth rests at each mel step, (M,) float32: 0 while somebody speaks, 1 inside pauses.

    Args:
        mel: (80, M) float32 in [-4, 4].
        steps_per_s: mel steps a second.
        distances: (M,), those of `silence_distances`; without them noise counts as speech.
    """
    levels = step_levels(mel)
    if not len(levels):
        return np.zeros(0, np.float32)
    loud_db = np.quantile(levels, LOUD_QUANTILE)
    silent = levels < loud_db - SILENCE_BELOW_LOUD_DB
    if distances is not None:
        spoken = levels >= loud_db - NOISE_BELOW_LOUD_DB
        silent |= ~spoken & (distances < NEAR_SILENCE * np.median(distances[spoken]))
    weights = np.zeros(len(levels), np.float32)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
    for first, end in edges.reshape(-1, 2):
        if end - first >= MIN_PAUSE_S * steps_per_s:
            steps = np.arange(first, end)
            before = (steps - first + 1) if first > 0 else np.inf
            after = (end - steps) if end < len(levels) else np.inf
            weights[first:end] = np.clip(np.minimum(before, after) / (RAMP_S * steps_per_s), 0, 1)
    return weights


@torch.no_grad()
def silence_distances(pipe: Diff2LipPipeline, mel: torch.Tensor) -> np.ndarray:
    """How far the audio embedding around each mel step is from that of silence, (M,) float32.

    Args:
        pipe: embeds the audio.
        mel: (80, M) float32 in [-4, 4].
    """
    extractor, steps = pipe.feature_extractor, mel.shape[1]
    width, padding = extractor.window_size, extractor.padding_value
    padded = F.pad(mel, (width // 2, width), value=padding)
    silence = pipe.encode_audio(1, mel_windows=torch.full((1, len(mel), width), padding))
    found = []
    for starts in torch.arange(0, steps, EMBEDDED_STEPS).split(EMBEDDED_AT_A_TIME):
        windows = torch.stack([padded[:, start : start + width] for start in starts.tolist()])
        embeds = pipe.encode_audio(len(windows), mel_windows=windows)
        found.append((embeds - silence).float().norm(dim=1).cpu().numpy())
    return np.concatenate(found).repeat(EMBEDDED_STEPS)[:steps] if found else np.zeros(0, np.float32)


def step_levels(mel: torch.Tensor) -> np.ndarray:
    """The level of each mel step over all bands, (M,) float64 in dB."""
    bands_db = mel.double().numpy() * (RANGE_DB / RANGE)
    return 10 * np.log10(np.mean(10 ** (bands_db / 10), axis=0))
