"""What the training of a SyncNet is told: a frozen dataclass, every value checked before any work."""

import math
from dataclasses import dataclass
from pathlib import Path

from .config import LEARNING_RATE_SCHEDULES, PRECISIONS
from .config_checks import check_choice, check_range
from .config_file import read_config
from .training_clips import READERS
from .training_set import CACHES


@dataclass(frozen=True)
class SyncNetTrainConfig:
    """A training run of the SyncNet.

    A batch is `clips_per_batch` stretches of `windows_per_clip` * 5 frames per process. Each stretch is cut into
    windows of 5 frames, and every window is compared with the sound of every other one. Processes share neither
    negatives nor the statistics of batch normalisation: two with half a batch each learn about, not exactly, the same.

    Args:
        data: a folder that `diff2lip prepare` wrote, or several.
        output: folder of the run: checkpoints, logs and the finished `model`.
        steps: steps of the optimiser in all.
        input_size: width of the pictures it looks at; see [`SyncNet`].
        block_out_channels: channels per level; see [`SyncNet`].
        embed_dim: numbers in an embedding.
        init_from: a SyncNet's folder, or the Wav2Lip expert's file, to go on from, instead of the three above.
        clips_per_batch: stretches of clips in a batch, per process.
        windows_per_clip: windows of a stretch; clips that are shorter than the stretch are left out.
        other_clips: share of the negatives' weight that goes to sounds of other clips; the rest goes to sounds of the
            same clip, 5 frames off or more.
        contrastive: weight of a further loss, see `contrastive_loss`; 0 is as in the paper, 0.3 learns faster.
        mixed_precision: `"no"`, `"fp16"` or `"bf16"`.
        learning_rate: of AdamW. Where it is too high for the width of the layers, the loss stays at a guess's for
            long: 1e-4 is for the default width, 4e-4 for a quarter of it.
        learning_rate_schedule: `"constant"`, or `"cosine"`: down to 0 at the last step.
        warmup_steps: over which the learning rate rises from 0.
        weight_decay: of AdamW.
        max_grad_norm: to which gradients are clipped; None leaves them.
        seed: decides everything drawn.
        held_out_fraction: share of the identities that are not trained on.
        jitter: of the crops, see [`Augmentation`].
        flip: whether half of the stretches are mirrored.
        colour_jitter: see [`Augmentation`].
        loudness_jitter: largest change of a stretch's mel, as if it were recorded louder or softer; 0.4 is 5 dB.
        cache: `"memory"` decodes the whole set once, `"none"` reads every stretch from its file.
        reader: `"pyav"` or `"decord"`.
        num_workers: processes that read stretches; 0 reads them between the steps.
        evaluate_every: steps between measurements on held-out identities, 0 for none; the last step is measured.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: how many of the newest stay.
    """

    data: str | tuple[str, ...]
    output: str
    steps: int
    input_size: int = 96
    block_out_channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    embed_dim: int = 512
    init_from: str | None = None
    clips_per_batch: int = 16
    windows_per_clip: int = 8
    other_clips: float = 0.25
    contrastive: float = 0.0
    mixed_precision: str = "no"
    learning_rate: float = 1e-4
    learning_rate_schedule: str = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    max_grad_norm: float | None = 1.0
    seed: int = 0
    held_out_fraction: float = 0.05
    jitter: float = 0.03
    flip: bool = True
    colour_jitter: float = 0.2
    loudness_jitter: float = 0.4
    cache: str = "none"
    reader: str = "pyav"
    num_workers: int = 0
    evaluate_every: int = 1000
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2

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
    "steps": (1, math.inf),
    "embed_dim": (1, math.inf),
    "clips_per_batch": (2, math.inf),
    "windows_per_clip": (2, math.inf),
    "other_clips": (0, 1),
    "contrastive": (0, math.inf),
    "learning_rate": (0, math.inf),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, math.inf),
    "max_grad_norm": (1e-12, math.inf),
    "seed": (0, 2**63 - 1),
    "held_out_fraction": (0, 1),
    "jitter": (0, 0.49),
    "colour_jitter": (0, 0.99),
    "loudness_jitter": (0, 4),
    "num_workers": (0, math.inf),
    "evaluate_every": (0, math.inf),
    "checkpoint_every": (1, math.inf),
    "keep_checkpoints": (1, math.inf),
}
CHOICES = {
    "mixed_precision": PRECISIONS,
    "learning_rate_schedule": LEARNING_RATE_SCHEDULES,
    "cache": CACHES,
    "reader": tuple(READERS),
}


def read_syncnet_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> SyncNetTrainConfig:
    """The configuration of a run from a YAML file; see [`read_config`]."""
    return read_config(SyncNetTrainConfig, path, overrides)
