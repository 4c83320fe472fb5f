"""Settings of a distillation: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path

from ...schedulers import SCHEDULERS
from ..config import CHOICES, RANGES, TrainConfig
from ..config_checks import check_choice, check_range
from ..config_file import read_config
from ..lora import LoraSettings

SCHEDULE_LENGTH = 1000


@dataclass(frozen=True)
class DistillLossWeights:
    """Weights of the losses of a distillation; 0 turns a loss off.

    Args:
        teacher_weight: Squared error against the teacher's frame.
        edge_weight: Squared error of the differences between neighboring pixels, against the teacher's.
        syncnet_weight: SyncNet loss, if a SyncNet is given.
        lpips_weight: Perceptual distance to the teacher's frame, if LPIPS weights are given.
        adversarial_weight: Loss from the sequence discriminator, which compares with true frames.
    """

    teacher_weight: float = 1.0
    edge_weight: float = 0.0
    syncnet_weight: float = 0.0
    lpips_weight: float = 0.0
    adversarial_weight: float = 0.0

    def __post_init__(self):
        for one in fields(self):
            check_range(self, "losses.", one.name, 0)

    def of(self, loss: str) -> float:
        """Returns the weight of a loss by its name in the log, such as `teacher`."""
        return getattr(self, f"{loss}_weight")


@dataclass(frozen=True)
class DistillConfig:
    """Settings of a distillation. Keys that `diff2lip train` also has mean the same there.

    Args:
        data: Folder that `diff2lip prepare` wrote, or a list of such folders.
        output: Folder of the run: checkpoints, samples, logs and the finished `model`.
        teacher: Model folder whose results the student learns.
        max_train_steps: Number of optimizer steps.
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
        init_from: Model folder that the student starts from. By default the teacher.
        freeze_audio_encoder: Whether the audio encoder is not trained.
        lora: Settings of a low-rank adapter, which is trained on `init_from` instead of all weights.
        size_px: Height and width of the training crops. By default the model's `sample_size`.
        frames_per_sample: Consecutive frames per sample, 1 or 5. SyncNet and the discriminator need 5.
        train_batch_size: Samples per process and micro-step.
        gradient_accumulation_steps: Micro-steps per optimizer step.
        gradient_checkpointing: Whether activations are recomputed in the backward pass, which saves memory.
        mixed_precision: `no`, `fp16` or `bf16`.
        learning_rate: Peak learning rate.
        lr_scheduler: `constant`, or `cosine`, which falls to 0 at the last step.
        discriminator_learning_rate: Peak learning rate of the discriminator.
        lr_warmup_steps: Steps over which the learning rates rise from 0.
        adam_weight_decay: Weight decay of AdamW.
        max_grad_norm: Gradients are clipped to this norm; `null` turns clipping off.
        use_ema: Whether the saved model has the exponential moving average of the weights.
        ema_decay: Largest decay of the moving average, which rises to it.
        seed: Decides everything that is drawn at random.
        losses: Weights of the losses.
        extra_mouth_weight: Pixels at the mouth count up to 1 + this in the losses on frame and edges.
        syncnet: Folder of a trained SyncNet. Without it, the SyncNet loss is off.
        lpips: File of LPIPS weights, or `package` for the installed one. Without it, the LPIPS loss is off.
        held_out_fraction: Share of the identities that are not trained on.
        jitter: Largest shift and change of size of a crop, as a fraction of the frame, at most 0.49.
        random_flip: Whether half of the samples are mirrored.
        color_jitter: Largest relative change of brightness and contrast, at most 0.99.
        cache: `memory` decodes the whole set once, `none` reads each sample from its file.
        cache_px: Height and width of the frames in memory. By default the set's, but at most twice `size_px`.
        reader: Library that decodes clips, `pyav` or `decord`.
        dataloader_num_workers: Processes that load samples. With 0, the training process loads them.
        checkpointing_steps: Steps between checkpoints.
        checkpoints_total_limit: Number of checkpoints to keep, the newest ones.
        validation_steps: Steps between samples of held-out clips, 0 for none.
        report_to: `tensorboard` or `none`.
    """

    data: str | tuple[str, ...]
    output: str
    teacher: str
    max_train_steps: int
    num_inference_steps: int = 4
    first_timestep: int = 700
    teacher_scheduler: str | None = None
    teacher_steps: int | None = None
    guidance_scale: float | None = None
    guidance_rescale: float = 0.0
    teacher_samples: int = 0
    targets: str | None = None
    init_from: str | None = None
    freeze_audio_encoder: bool = True
    lora: LoraSettings | None = None
    size_px: int | None = None
    frames_per_sample: int = 1
    train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    mixed_precision: str = "no"
    learning_rate: float = 2e-4
    lr_scheduler: str = "cosine"
    discriminator_learning_rate: float = 1e-4
    lr_warmup_steps: int = 50
    adam_weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    use_ema: bool = True
    ema_decay: float = 0.999
    seed: int = 0
    losses: DistillLossWeights = field(default_factory=DistillLossWeights)
    extra_mouth_weight: float = 2.0
    syncnet: str | None = None
    lpips: str | None = None
    held_out_fraction: float = 0.05
    jitter: float = 0.03
    random_flip: bool = True
    color_jitter: float = 0.0
    cache: str = "none"
    cache_px: int | None = None
    reader: str = "pyav"
    dataloader_num_workers: int = 0
    checkpointing_steps: int = 1000
    checkpoints_total_limit: int = 2
    validation_steps: int = 1000
    report_to: str = "tensorboard"

    def __post_init__(self):
        own = {one.name for one in fields(self)}
        for name, (smallest, largest) in (RANGES | DISTILL_RANGES).items():
            if name in own and getattr(self, name) is not None:
                check_range(self, "", name, smallest, largest)
        for name, known in CHOICES.items():
            if name in own:
                check_choice(self, name, known)
        _check_together(self)

    @property
    def folders(self) -> list[str]:
        """The training sets."""
        return [self.data] if isinstance(self.data, str) else list(self.data)

    @property
    def loss_weights(self) -> DistillLossWeights:
        """The weights of the losses."""
        return self.losses

    @property
    def uses_syncnet(self) -> bool:
        """Whether the SyncNet loss is on."""
        return self.syncnet is not None and self.losses.syncnet_weight > 0

    @property
    def uses_lpips(self) -> bool:
        """Whether the LPIPS loss is on."""
        return self.lpips is not None and self.losses.lpips_weight > 0

    @property
    def uses_discriminator(self) -> bool:
        """Whether the adversarial loss is on."""
        return self.losses.adversarial_weight > 0

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


DISTILL_RANGES = {
    "num_inference_steps": (1, SCHEDULE_LENGTH),
    "first_timestep": (1, SCHEDULE_LENGTH),
    "teacher_steps": (1, SCHEDULE_LENGTH),
    "guidance_scale": (0, math.inf),
    "guidance_rescale": (0, 1),
    "teacher_samples": (0, math.inf),
}


def read_distill_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> DistillConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    return read_config(DistillConfig, path, overrides)


def _check_together(config: DistillConfig) -> None:
    """Raises ValueError where settings contradict each other."""
    if not config.folders:
        raise ValueError("`data` is empty, expected a folder that diff2lip prepare wrote")
    if config.first_timestep % config.num_inference_steps:
        raise ValueError(
            f"`first_timestep` is {config.first_timestep}, expected a multiple of `num_inference_steps`, which is"
            f" {config.num_inference_steps}"
        )
    if config.teacher_scheduler is not None:
        check_choice(config, "teacher_scheduler", tuple(SCHEDULERS))
    if config.frames_per_sample == 1 and (config.uses_syncnet or config.uses_discriminator):
        raise ValueError("`frames_per_sample` is 1, but SyncNet and the discriminator need 5; set it to 5")
