"""Settings of a training run of the SyncNet: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import dataclass
from pathlib import Path

from .config import LR_SCHEDULERS, PRECISIONS
from .config_checks import check_choice, check_range
from .config_file import read_config
from .training_clips import READERS
from .training_set import CACHES


@dataclass(frozen=True)
class SyncNetTrainConfig:
    """Settings of a training run of the SyncNet. Names are those of diffusers' training scripts.

    A batch has `clips_per_batch` stretches of `windows_per_clip` * 5 frames per process. Each stretch is cut into
    windows of 5 frames, and every window is compared with the audio of every other one. Processes share neither
    negatives nor the statistics of batch normalization, so two processes with half a batch each learn about the same
    as one process, but not exactly.

    Args:
        data: Folder that `diff2lip prepare` wrote, or a list of such folders.
        output: Folder of the run: checkpoints, logs and the finished `model`.
        max_train_steps: Number of optimizer steps.
        input_size: Width of the network's input frames: 48, 96, 192 and so on.
        block_out_channels: Channels of the five levels, finest first.
        embed_dim: Size of the embeddings.
        init_from: A SyncNet's folder, or the Wav2Lip expert's file, to start from, instead of the three sizes above.
        clips_per_batch: Stretches of clips in a batch, per process.
        windows_per_clip: Windows per stretch; clips that are shorter than a stretch are left out.
        other_clips_weight: Share of the negatives' weight for audio of other clips. The rest is for audio of the same
            clip, 5 frames away or more.
        contrastive_weight: Weight of an additional contrastive loss. 0 is as in the paper, 0.3 learns faster.
        mixed_precision: `no`, `fp16` or `bf16`.
        learning_rate: Peak learning rate. If it is too high for the width of the layers, the loss stays that of a
            guess for long: 1e-4 is for the default width, 4e-4 for a quarter of it.
        lr_scheduler: `constant`, or `cosine`, which falls to 0 at the last step.
        lr_warmup_steps: Steps over which the learning rate rises from 0.
        adam_weight_decay: Weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm; `null` turns clipping off.
        seed: Decides everything that is drawn at random.
        held_out_fraction: Share of the identities that are not trained on.
        jitter: Largest shift and change of size of a crop, as a fraction of the frame, at most 0.49.
        random_flip: Whether half of the stretches are mirrored.
        color_jitter: Largest relative change of brightness and contrast, at most 0.99.
        loudness_jitter: Largest change of a stretch's mel spectrogram, as if it was recorded louder or softer; 0.4 is
            5 dB.
        cache: `memory` decodes the whole set once, `none` reads each stretch from its file.
        reader: Library that decodes clips, `pyav` or `decord`.
        dataloader_num_workers: Processes that load stretches. With 0, the training process loads them.
        validation_steps: Steps between measurements on held-out identities, 0 for none; the last step is measured.
        checkpointing_steps: Steps between checkpoints.
        checkpoints_total_limit: Number of checkpoints to keep, the newest ones.
    """

    data: str | tuple[str, ...]
    output: str
    max_train_steps: int
    input_size: int = 96
    block_out_channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    embed_dim: int = 512
    init_from: str | None = None
    clips_per_batch: int = 16
    windows_per_clip: int = 8
    other_clips_weight: float = 0.25
    contrastive_weight: float = 0.0
    mixed_precision: str = "no"
    learning_rate: float = 1e-4
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 100
    adam_weight_decay: float = 1e-2
    max_grad_norm: float | None = 1.0
    seed: int = 0
    held_out_fraction: float = 0.05
    jitter: float = 0.03
    random_flip: bool = True
    color_jitter: float = 0.2
    loudness_jitter: float = 0.4
    cache: str = "none"
    reader: str = "pyav"
    dataloader_num_workers: int = 0
    validation_steps: int = 1000
    checkpointing_steps: int = 1000
    checkpoints_total_limit: int = 2

    def __post_init__(self):
        for name, limits in RANGES.items():
            if getattr(self, name) is not None:
                check_range(self, "", name, *limits)
        for name, known in CHOICES.items():
            check_choice(self, name, known)
        if not self.folders:
            raise ValueError("`data` is empty, expected a folder that diff2lip prepare wrote")

    @property
    def folders(self) -> list[str]:
        """The training sets."""
        return [self.data] if isinstance(self.data, str) else list(self.data)


RANGES = {
    "max_train_steps": (1, math.inf),
    "embed_dim": (1, math.inf),
    "clips_per_batch": (2, math.inf),
    "windows_per_clip": (2, math.inf),
    "other_clips_weight": (0, 1),
    "contrastive_weight": (0, math.inf),
    "learning_rate": (0, math.inf),
    "lr_warmup_steps": (0, math.inf),
    "adam_weight_decay": (0, math.inf),
    "max_grad_norm": (1e-12, math.inf),
    "seed": (0, 2**63 - 1),
    "held_out_fraction": (0, 1),
    "jitter": (0, 0.49),
    "color_jitter": (0, 0.99),
    "loudness_jitter": (0, 4),
    "dataloader_num_workers": (0, math.inf),
    "validation_steps": (0, math.inf),
    "checkpointing_steps": (1, math.inf),
    "checkpoints_total_limit": (1, math.inf),
}
CHOICES = {
    "mixed_precision": PRECISIONS,
    "lr_scheduler": LR_SCHEDULERS,
    "cache": CACHES,
    "reader": tuple(READERS),
}


def read_syncnet_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> SyncNetTrainConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    return read_config(SyncNetTrainConfig, path, overrides)
