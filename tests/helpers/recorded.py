"""Models with the deterministic weights that the recorded outputs in `tests/data` belong to."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch

from diff2lip_diffusers import Diff2LipFeatureExtractor, Diff2LipPipeline
from diff2lip_diffusers.original_checkpoint import components_from_original
from diff2lip_diffusers.schedulers import original_scheduler

DATA = Path(__file__).parents[1] / "data"
HEAD_CHANNELS = {"tiny": 16, "released": 64}


def fill(name: str, shape: list[int]) -> torch.Tensor:
    """Returns the weight that the recordings were made with; see data/README.md."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    values = generator.standard_normal(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    if len(shape) > 1:
        values *= 1.0 / (np.prod(shape[1:]) ** 0.5)
    elif name.endswith("bias"):
        values *= 0.05
    else:
        values = 1 + 0.1 * values
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def original_state_dict(config: str) -> dict[str, torch.Tensor]:
    """Returns a state dict in the layout of the original; `config` is "tiny" or "released"."""
    manifest = json.loads((DATA / f"{config}_manifest.json").read_text())
    return {name: fill(name, shape) for name, shape in manifest.items()}


def make_pipeline(config: str) -> Diff2LipPipeline:
    """Returns the pipeline whose outputs were recorded."""
    unet, audio_encoder = components_from_original(original_state_dict(config), HEAD_CHANNELS[config])
    pipe = Diff2LipPipeline(unet, audio_encoder, Diff2LipFeatureExtractor(), original_scheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe
