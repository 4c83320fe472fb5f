"""Weights, frames and audio that the recorded outputs of the SyncNet of 2016 belong to; see data/README.md."""

import json
from functools import cache

import numpy as np
import torch

from diff2lip_diffusers.evaluation.syncnet2016.network import SyncNet2016, load_syncnet2016

from .recorded import DATA, fill


@cache
def golden() -> dict[str, np.ndarray]:
    """The recorded arrays by name."""
    return dict(np.load(DATA / "syncnet_golden.npz"))


def manifest_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the original weights."""
    manifest = json.loads((DATA / "syncnet_v2_manifest.json").read_text())
    return {name: tuple(tensor["shape"]) for name, tensor in manifest.items()}


@cache
def made_up_weights() -> dict[str, torch.Tensor]:
    """The weights of the recording."""
    return {name: fill(name, list(shape)) for name, shape in manifest_shapes().items()}


def write_legacy(path, content) -> None:
    """Writes a file as PyTorch did before version 1.6, which the original weights are in."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


@cache
def recorded_syncnet(folder) -> SyncNet2016:
    """The network of the recording, loaded from a file in the original's format."""
    path = folder / "syncnet_v2.model"
    write_legacy(path, made_up_weights())
    return load_syncnet2016(path)


def recorded_frames(count: int, height: int, width: int) -> np.ndarray:
    """Frames (count, height, width, 3) uint8, BGR."""
    y, x, c = np.ogrid[0:height, 0:width, 0:3]
    pattern = ((3 * x + 2 * y + 40 * c + x * y // 64) % 256).astype(np.uint8)
    frames = np.repeat(pattern[None], count, axis=0)
    for t in range(count):
        mouth = (abs(2 * x - width) <= 80) & (abs(3 * y - 2 * height) <= 15 + 12 * (t**2 % 7))
        np.copyto(frames[t], ((50 * c + 31 * t) % 256).astype(np.uint8), where=mouth)
    return frames


def recorded_audio(count: int) -> np.ndarray:
    """Samples (count,) int16."""
    n = np.arange(count, dtype=np.int64)
    samples = ((n * (100 + n // 64)) % 4096 - 2048) * (1 + n // 640 % 5) + n**2 % 1201 - 600
    samples[(n >= 8000) & (n < 9600)] = 0
    return samples.astype(np.int16)
