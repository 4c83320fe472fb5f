"""Settings of a distillation: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar

from ...schedulers import SCHEDULERS
from ..config import TrainConfig
from ..config_checks import check_choice, check_range
from ..config_file import read_config
from ..denoiser_config import DenoiserConfig

SCHEDULE_LENGTH = 1000


@dataclass(frozen=True)
class DistillLossWeights:
    """Weights of the losses of a distillation; 0 turns a loss off.

    Args:
        teacher_weight: Squared error against the teacher's frame.
        edge_weight: Squared error of the differences between neighboring pixels, against the teacher's.
        x0_weight: Squared error against the true frame.
        x0_edge_weight: Squared error of the differences between neighboring pixels, against the true frame's.
        coarse_weight: Squared error of the means of 8 x 8 pixels, against the true frame: colors and openings that
            the teacher gets wrong.
        syncnet_weight: SyncNet loss, if a SyncNet is given.
        lpips_weight: Perceptual distance to the teacher's frame, if LPIPS weights are given.
        adversarial_weight: Loss from the sequence discriminator, which compares with true frames.

    Raises:
        ValueError: if a weight is below 0, or no loss compares frames.
    """

    teacher_weight: float = 1.0
    edge_weight: float = 0.0
    x0_weight: float = 0.0
    x0_edge_weight: float = 0.0
    coarse_weight: float = 0.0
    syncnet_weight: float = 0.0
    lpips_weight: float = 0.0
    adversarial_weight: float = 0.0

    def __post_init__(self):
        for one in fields(self):
            check_range(self, "losses.", one.name, 0)
        if self.teacher_weight + self.x0_weight == 0:
            raise ValueError(
                "`losses.teacher_weight` and `losses.x0_weight` are 0, expected one above 0: the student needs frames"
                " to learn from"
            )

    @property
    def need_teacher(self) -> bool:
        """Whether a loss compares with the teacher's frames."""
        return self.teacher_weight + self.edge_weight + self.lpips_weight > 0

    def of(self, loss: str) -> float:
        """Returns the weight of a loss by its name in the log, such as `teacher`."""
        return getattr(self, f"{loss}_weight")


@dataclass(frozen=True, kw_only=True)
class DistillConfig(DenoiserConfig):
    """Settings of a distillation, besides those of [`DenoiserConfig`] and [`RunConfig`].

    Args:
        init_from: Model folder that the student starts from. By default the teacher.
        teacher: Model folder whose results the student learns.
        num_inference_steps: Steps of the student, a divisor of `first_timestep`.
        first_timestep: The student's schedule has so many of the model's 1000 timesteps. It starts at its last one,
            with pure noise.
        teacher_scheduler: Scheduler that the teacher paints with, by its short name. By default its own.
        teacher_steps: Steps of the teacher. By default its own.
        guidance_scale: Guidance of the teacher, which the student learns to do without. By default its own.
        guidance_rescale: How far the contrast that the teacher's guidance adds is taken back, from 0 to 1.
        teacher_samples: Number of different samples. The teacher's results are stored, so it paints each only once.
            With 0, each sample is new, and nothing is stored.
        targets: Folder of the teacher's stored results, which several runs may share. By default `targets` in
            `output`.
        losses: Weights of the losses. The teacher only paints if one of them needs it.

    Raises:
        ValueError: if a value is out of range, or settings contradict each other.
    """

    RANGES: ClassVar = DenoiserConfig.RANGES | {
        "num_inference_steps": (1, SCHEDULE_LENGTH),
        "first_timestep": (1, SCHEDULE_LENGTH),
        "teacher_steps": (1, SCHEDULE_LENGTH),
        "guidance_scale": (0, math.inf),
        "guidance_rescale": (0, 1),
        "teacher_samples": (0, math.inf),
    }

    learning_rate: float = 2e-4
    lr_warmup_steps: int = 50
    freeze_audio_encoder: bool = True
    frames_per_sample: int = 1
    ema_decay: float = 0.999
    extra_mouth_weight: float = 2.0
    teacher: str
    num_inference_steps: int = 4
    first_timestep: int = 500
    teacher_scheduler: str | None = None
    teacher_steps: int | None = None
    guidance_scale: float | None = None
    guidance_rescale: float = 0.0
    teacher_samples: int = 0
    targets: str | None = None
    losses: DistillLossWeights = field(default_factory=DistillLossWeights)

    def __post_init__(self):
        super().__post_init__()
        if self.first_timestep % self.num_inference_steps:
            raise ValueError(
                f"`first_timestep` is {self.first_timestep}, expected a multiple of `num_inference_steps`, which is"
                f" {self.num_inference_steps}"
            )
        if self.teacher_scheduler is not None:
            check_choice(self, "teacher_scheduler", tuple(SCHEDULERS))

    @property
    def loss_weights(self) -> DistillLossWeights:
        """The weights of the losses."""
        return self.losses

    @property
    def first_student(self) -> TrainConfig:
        """The settings that make the student's first weights."""
        return TrainConfig(
            data=self.data,
            output=self.output,
            max_train_steps=self.max_train_steps,
            init_from=self.init_from or self.teacher,
            freeze_audio_encoder=self.freeze_audio_encoder,
            lora=self.lora,
            gradient_checkpointing=self.gradient_checkpointing,
            seed=self.seed,
        )


def read_distill_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> DistillConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    return read_config(DistillConfig, path, overrides)
