"""Settings that every training run has, on clips that `diff2lip prepare` wrote."""

import math
from dataclasses import dataclass
from typing import ClassVar

from .config_checks import check_choice, check_range
from .training_clips import READERS
from .training_set import CACHES

PRECISIONS = ("no", "fp16", "bf16")
LR_SCHEDULERS = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Settings that every training run has. Names are those of diffusers' training scripts.

    Args:
        data: Folder that `diff2lip prepare` wrote, or a list of such folders.
        output: Folder of the run: checkpoints, logs and the finished `model`.
        max_train_steps: Number of optimizer steps.
        mixed_precision: `no`, `fp16` or `bf16`.
        learning_rate: Peak learning rate.
        lr_scheduler: `constant`, or `cosine`, which falls to 0 at the last step.
        lr_warmup_steps: Steps over which the learning rates rise from 0.
        adam_weight_decay: Weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm; `null` turns clipping off.
        seed: Decides everything that is drawn at random.
        held_out_fraction: Share of the identities that are not trained on.
        jitter: Largest shift and change of size of a crop, as a fraction of the frame, at most 0.49.
        random_flip: Whether half of the samples are mirrored.
        color_jitter: Largest relative change of brightness and contrast, at most 0.99.
        cache: `memory` decodes the whole set once, `none` reads each sample from its file.
        reader: Library that decodes clips, `pyav` or `decord`.
        dataloader_num_workers: Processes that load samples. With 0, the training process loads them.
        checkpointing_steps: Steps between checkpoints.
        checkpoints_total_limit: Number of checkpoints to keep, the newest ones.
        validation_steps: Steps between samples or measurements of held-out clips, 0 for none.

    Raises:
        ValueError: if a value is out of range; the line names the setting.
    """

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "max_train_steps": (1, math.inf),
        "learning_rate": (0, math.inf),
        "lr_warmup_steps": (0, math.inf),
        "adam_weight_decay": (0, math.inf),
        "max_grad_norm": (1e-12, math.inf),
        "seed": (0, 2**63 - 1),
        "held_out_fraction": (0, 1),
        "jitter": (0, 0.49),
        "color_jitter": (0, 0.99),
        "dataloader_num_workers": (0, 256),
        "checkpointing_steps": (1, math.inf),
        "checkpoints_total_limit": (1, math.inf),
        "validation_steps": (0, math.inf),
    }
    CHOICES: ClassVar[dict[str, tuple]] = {
        "mixed_precision": PRECISIONS,
        "lr_scheduler": LR_SCHEDULERS,
        "cache": CACHES,
        "reader": tuple(READERS),
    }

    data: str | tuple[str, ...]
    output: str
    max_train_steps: int
    mixed_precision: str = "no"
    learning_rate: float = 1e-4
    lr_scheduler: str = "cosine"
    lr_warmup_steps: int = 100
    adam_weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    seed: int = 0
    held_out_fraction: float = 0.05
    jitter: float = 0.03
    random_flip: bool = True
    color_jitter: float = 0.0
    cache: str = "none"
    reader: str = "pyav"
    dataloader_num_workers: int = 0
    checkpointing_steps: int = 1000
    checkpoints_total_limit: int = 2
    validation_steps: int = 1000

    def __post_init__(self):
        for name, limits in self.RANGES.items():
            if getattr(self, name) is not None:
                check_range(self, "", name, *limits)
        for name, known in self.CHOICES.items():
            check_choice(self, name, known)
        if not self.folders:
            raise ValueError("`data` is empty, expected a folder that diff2lip prepare wrote")

    @property
    def folders(self) -> list[str]:
        """The training sets."""
        return [self.data] if isinstance(self.data, str) else list(self.data)
