"""What a training run is told: frozen dataclasses, every value checked before any work."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .config_checks import check_choice, check_range
from .config_file import read_config
from .lora import LoraSettings
from .loss_weights import LOSS_PRESETS, LossWeights
from .model_config import ModelConfig
from .training_clips import READERS
from .training_set import CACHES

PRECISIONS = ("no", "fp16", "bf16")
LEARNING_RATE_SCHEDULES = ("constant", "cosine")
TRACKERS = ("tensorboard", "none")


@dataclass(frozen=True)
class TrainConfig:
    """A training run of the diffusion model.

    Args:
        data: a folder that `diff2lip prepare` wrote, or several.
        output: folder of the run: checkpoints, samples, logs and the finished `model`.
        steps: steps of the optimiser in all.
        model: sizes of a new model; by default those of `init_from`, or of the released model.
        init_from: a model folder to go on from.
        audio_encoder_from: a folder of a trained audio encoder.
        freeze_audio_encoder: whether the audio encoder stays as it is.
        lora: trains a low-rank adapter on `init_from` instead of all weights.
        size_px: height and width of the training crops; by default the model's `sample_size`. The network is
            convolutional: a model for 64 pixels may learn its first steps at 32.
        frames_per_sample: consecutive frames in a sample; SyncNet and the discriminator need 5.
        batch_size: samples per process and micro-step.
        gradient_accumulation_steps: micro-steps per step of the optimiser.
        gradient_checkpointing: computes parts of the U-Net twice to save memory.
        mixed_precision: `"no"`, `"fp16"` or `"bf16"`.
        learning_rate: of AdamW.
        learning_rate_schedule: `"constant"`, or `"cosine"`: down to 0 at the last step.
        discriminator_learning_rate: of its AdamW.
        warmup_steps: over which the learning rates rise from 0.
        weight_decay: of AdamW.
        max_grad_norm: to which gradients are clipped; None leaves them.
        ema_decay: largest decay of the averaged weights, to which it rises; they are what is saved as `model`.
        seed: decides everything drawn.
        losses: weights of the losses, or the name of a preset, `"paper"` or `"simple"`.
        x0_gain: the error of the picture counts at most so many times that of the noise, see `x0_timestep_weight`.
        mouth_focus: further weight of the mouth's place in the losses on noise and picture, 0 for none.
        timestep_focus: share of samples with a timestep from `timestep_range` only, see [`Diffusion`].
        timestep_range: first timestep of the range, and the one behind its last.
        syncnet: folder of a trained expert.
        lpips: file of LPIPS weights, or `"package"` for the installed one.
        held_out_fraction: share of the identities that are not trained on.
        jitter: of the crops, see [`Augmentation`].
        flip: whether half of the samples are mirrored.
        colour_jitter: see [`Augmentation`].
        cache: `"memory"` decodes the whole set once, `"none"` reads every sample from its file.
        cache_px: height and width of the pictures in memory.
        reader: `"pyav"` or `"decord"`.
        num_workers: processes that make samples; 0 makes them between the steps.
        checkpoint_every: steps between checkpoints.
        keep_checkpoints: how many of the newest stay.
        sample_every: steps between pictures of held-out clips, 0 for none.
        tracker: `"tensorboard"` or `"none"`.
    """

    data: str | tuple[str, ...]
    output: str
    steps: int
    model: ModelConfig | None = None
    init_from: str | None = None
    audio_encoder_from: str | None = None
    freeze_audio_encoder: bool = False
    lora: LoraSettings | None = None
    size_px: int | None = None
    frames_per_sample: int = 5
    batch_size: int = 8
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    mixed_precision: str = "no"
    learning_rate: float = 1e-4
    learning_rate_schedule: str = "constant"
    discriminator_learning_rate: float = 1e-4
    warmup_steps: int = 500
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    ema_decay: float = 0.9999
    seed: int = 0
    losses: LossWeights | str = field(default_factory=LossWeights)
    x0_gain: float = 100.0
    mouth_focus: float = 0.0
    timestep_focus: float = 0.0
    timestep_range: tuple[int, ...] = (450, 950)
    syncnet: str | None = None
    lpips: str | None = None
    held_out_fraction: float = 0.05
    jitter: float = 0.03
    flip: bool = True
    colour_jitter: float = 0.0
    cache: str = "none"
    cache_px: int | None = None
    reader: str = "pyav"
    num_workers: int = 0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    sample_every: int = 1000
    tracker: str = "tensorboard"

    def __post_init__(self):
        if isinstance(self.losses, str):
            check_choice(self, "losses", tuple(LOSS_PRESETS))
            object.__setattr__(self, "losses", LOSS_PRESETS[self.losses])
        for name, (smallest, largest) in RANGES.items():
            if getattr(self, name) is not None:
                check_range(self, "", name, smallest, largest)
        for name, known in CHOICES.items():
            check_choice(self, name, known)
        _check_timestep_range(self.timestep_range)
        _check_together(self)

    @property
    def folders(self) -> list[str]:
        """The training sets."""
        return [self.data] if isinstance(self.data, str) else list(self.data)

    @property
    def uses_syncnet(self) -> bool:
        """Whether SyncNet's loss is on."""
        return self.syncnet is not None and self.losses.syncnet > 0

    @property
    def uses_lpips(self) -> bool:
        """Whether the perceptual loss is on."""
        return self.lpips is not None and self.losses.lpips > 0

    @property
    def uses_discriminator(self) -> bool:
        """Whether the adversarial loss is on."""
        return self.losses.adversarial > 0


RANGES = {
    "steps": (1, math.inf),
    "size_px": (8, math.inf),
    "batch_size": (1, math.inf),
    "gradient_accumulation_steps": (1, math.inf),
    "learning_rate": (0, math.inf),
    "discriminator_learning_rate": (0, math.inf),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, math.inf),
    "max_grad_norm": (1e-12, math.inf),
    "ema_decay": (0, 1),
    "seed": (0, 2**63 - 1),
    "x0_gain": (0, math.inf),
    "mouth_focus": (0, math.inf),
    "timestep_focus": (0, 1),
    "held_out_fraction": (0, 1),
    "jitter": (0, 0.49),
    "colour_jitter": (0, 0.99),
    "cache_px": (8, math.inf),
    "num_workers": (0, math.inf),
    "checkpoint_every": (1, math.inf),
    "keep_checkpoints": (1, math.inf),
    "sample_every": (0, math.inf),
}
CHOICES = {
    "frames_per_sample": (1, 5),
    "mixed_precision": PRECISIONS,
    "learning_rate_schedule": LEARNING_RATE_SCHEDULES,
    "cache": CACHES,
    "reader": tuple(READERS),
    "tracker": TRACKERS,
}


def read_train_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """The configuration of a run from a YAML file; see [`read_config`]."""
    presets = {"losses": {name: asdict(weights) for name, weights in LOSS_PRESETS.items()}}
    return read_config(TrainConfig, path, overrides, presets)


def _check_timestep_range(span: tuple[int, ...]) -> None:
    if len(span) != 2 or not 0 <= span[0] < span[1] <= 1000:
        raise ValueError(f"`timestep_range` is {list(span)}, expected two timesteps from 0 to 1000, the lower first")


def _check_together(config: TrainConfig) -> None:
    """What contradicts each other."""
    if not config.folders:
        raise ValueError("`data` is empty, expected a folder that diff2lip prepare wrote")
    if config.frames_per_sample == 1 and (config.uses_syncnet or config.uses_discriminator):
        raise ValueError(
            "`frames_per_sample` is 1, but SyncNet and the discriminator look at 5; take 5, or set losses.syncnet and"
            " losses.adversarial to 0 (losses: simple)"
        )
    if config.lora is not None and config.init_from is None:
        raise ValueError("`lora` needs `init_from`, the model folder that it adapts")
