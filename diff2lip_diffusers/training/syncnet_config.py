"""Settings of a training run of the SyncNet: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .config_file import read_config
from .run_config import RunConfig


@dataclass(frozen=True, kw_only=True)
class SyncNetTrainConfig(RunConfig):
    """Settings of a training run of the SyncNet, besides those of [`RunConfig`].

    A batch has `clips_per_batch` stretches of `windows_per_clip` * 5 frames per process. Each stretch is cut into
    windows of 5 frames, and every window is compared with the audio of every other one. Processes share neither
    negatives nor the statistics of batch normalization, so two processes with half a batch each learn about the same
    as one process, but not exactly.

    Args:
        input_size: Width of the network's input frames: 48, 96, 192 and so on.
        block_out_channels: Channels of the five levels, finest first.
        embed_dim: Size of the embeddings.
        init_from: A SyncNet's folder, or the Wav2Lip expert's file, to start from, instead of the three sizes above.
        clips_per_batch: Stretches of clips in a batch, per process.
        windows_per_clip: Windows per stretch; clips that are shorter than a stretch are left out.
        other_clips_weight: Share of the negatives' weight for audio of other clips. The rest is for audio of the same
            clip, 5 frames away or more.
        contrastive_weight: Weight of an additional contrastive loss. 0 is as in the paper, 0.3 learns faster.
        learning_rate: Peak learning rate. If it is too high for the width of the layers, the loss stays that of a
            guess for long: 1e-4 is for the default width, 4e-4 for a quarter of it.
        loudness_jitter: Largest change of a stretch's mel spectrogram, as if it was recorded louder or softer; 0.4 is
            5 dB.

    Raises:
        ValueError: if a value is out of range; the line names the setting.
    """

    RANGES: ClassVar = RunConfig.RANGES | {
        "embed_dim": (1, math.inf),
        "clips_per_batch": (2, math.inf),
        "windows_per_clip": (2, math.inf),
        "other_clips_weight": (0, 1),
        "contrastive_weight": (0, math.inf),
        "loudness_jitter": (0, 4),
    }

    input_size: int = 96
    block_out_channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    embed_dim: int = 512
    init_from: str | None = None
    clips_per_batch: int = 16
    windows_per_clip: int = 8
    other_clips_weight: float = 0.25
    contrastive_weight: float = 0.0
    learning_rate: float = 1e-4
    adam_weight_decay: float = 1e-2
    color_jitter: float = 0.2
    loudness_jitter: float = 0.4


def read_syncnet_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> SyncNetTrainConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    return read_config(SyncNetTrainConfig, path, overrides)
