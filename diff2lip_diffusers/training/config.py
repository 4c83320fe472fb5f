"""Settings of a training run of the diffusion model: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .config_checks import check_choice, check_range
from .config_file import read_config
from .lora import LoraSettings
from .loss_weights import LOSS_PRESETS, LossWeights
from .model_config import ModelConfig
from .timestep_bias import TIMESTEP_BIAS_STRATEGIES
from .training_clips import READERS
from .training_set import CACHES

PRECISIONS = ("no", "fp16", "bf16")
LR_SCHEDULERS = ("constant", "cosine")
TRACKERS = ("tensorboard", "none")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run of the diffusion model. Names are those of diffusers' training scripts.

    Args:
        data: Folder that `diff2lip prepare` wrote, or a list of such folders.
        output: Folder of the run: checkpoints, samples, logs and the finished `model`.
        max_train_steps: Number of optimizer steps.
        model: Sizes of a new model. By default those of `init_from`, or of the released model.
        init_from: Model folder to start from.
        audio_encoder_from: Folder of a trained audio encoder.
        freeze_audio_encoder: Whether the audio encoder is not trained.
        audio_dropout: Share of the samples whose audio embedding is replaced by one that stands for no speech, for
            `guidance_scale`; 0.1 is usual. It is learned if the audio encoder is trained.
        lora: Settings of a low-rank adapter, which is trained on `init_from` instead of all weights.
        size_px: Height and width of the training crops. By default the model's `sample_size`. The network is
            convolutional, so a model for 64 pixels may be trained at 32 first.
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
        losses: Weights of the losses, or the name of a preset, `paper` or `simple`.
        x0_snr_gain: The losses on the predicted frame count less at high noise: by min(1, `x0_snr_gain` * SNR), where
            SNR is the signal-to-noise ratio at the timestep.
        extra_mouth_weight: Pixels at the mouth count up to 1 + this in the losses on noise and frame.
        timestep_bias_strategy: Which timesteps are drawn more often: `none`, `earlier`, `later` or `range`.
        timestep_bias_multiplier: Biased timesteps are drawn this many times as often as others.
        timestep_bias_begin: First biased timestep of the strategy `range`.
        timestep_bias_end: Timestep after the last biased one of the strategy `range`.
        timestep_bias_portion: Share of the timesteps that the strategies `earlier` and `later` bias.
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
    max_train_steps: int
    model: ModelConfig | None = None
    init_from: str | None = None
    audio_encoder_from: str | None = None
    freeze_audio_encoder: bool = False
    audio_dropout: float = 0.0
    lora: LoraSettings | None = None
    size_px: int | None = None
    frames_per_sample: int = 5
    train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    mixed_precision: str = "no"
    learning_rate: float = 1e-4
    lr_scheduler: str = "constant"
    discriminator_learning_rate: float = 1e-4
    lr_warmup_steps: int = 500
    adam_weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    use_ema: bool = True
    ema_decay: float = 0.9999
    seed: int = 0
    losses: LossWeights | str = field(default_factory=LossWeights)
    x0_snr_gain: float = 100.0
    extra_mouth_weight: float = 0.0
    timestep_bias_strategy: str = "none"
    timestep_bias_multiplier: float = 1.0
    timestep_bias_begin: int = 0
    timestep_bias_end: int = 1000
    timestep_bias_portion: float = 0.25
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
        if isinstance(self.losses, str):
            check_choice(self, "losses", tuple(LOSS_PRESETS))
            object.__setattr__(self, "losses", LOSS_PRESETS[self.losses])
        for name, (smallest, largest) in RANGES.items():
            if getattr(self, name) is not None:
                check_range(self, "", name, smallest, largest)
        for name, known in CHOICES.items():
            check_choice(self, name, known)
        _check_together(self)

    @property
    def folders(self) -> list[str]:
        """The training sets."""
        return [self.data] if isinstance(self.data, str) else list(self.data)

    @property
    def loss_weights(self) -> LossWeights:
        """The weights of the losses, also where `losses` was the name of a preset."""
        return LOSS_PRESETS[self.losses] if isinstance(self.losses, str) else self.losses

    @property
    def uses_syncnet(self) -> bool:
        """Whether the SyncNet loss is on."""
        return self.syncnet is not None and self.loss_weights.syncnet_weight > 0

    @property
    def uses_lpips(self) -> bool:
        """Whether the LPIPS loss is on."""
        return self.lpips is not None and self.loss_weights.lpips_weight > 0

    @property
    def uses_discriminator(self) -> bool:
        """Whether the adversarial loss is on."""
        return self.loss_weights.adversarial_weight > 0


RANGES = {
    "max_train_steps": (1, math.inf),
    "audio_dropout": (0, 1),
    "size_px": (8, math.inf),
    "train_batch_size": (1, math.inf),
    "gradient_accumulation_steps": (1, math.inf),
    "learning_rate": (0, math.inf),
    "discriminator_learning_rate": (0, math.inf),
    "lr_warmup_steps": (0, math.inf),
    "adam_weight_decay": (0, math.inf),
    "max_grad_norm": (1e-12, math.inf),
    "ema_decay": (0, 1),
    "seed": (0, 2**63 - 1),
    "x0_snr_gain": (0, math.inf),
    "extra_mouth_weight": (0, math.inf),
    "timestep_bias_multiplier": (1e-12, 1e12),
    "timestep_bias_begin": (0, 999),
    "timestep_bias_end": (1, 1000),
    "timestep_bias_portion": (0, 1),
    "held_out_fraction": (0, 1),
    "jitter": (0, 0.49),
    "color_jitter": (0, 0.99),
    "cache_px": (8, math.inf),
    "dataloader_num_workers": (0, math.inf),
    "checkpointing_steps": (1, math.inf),
    "checkpoints_total_limit": (1, math.inf),
    "validation_steps": (0, math.inf),
}
CHOICES = {
    "frames_per_sample": (1, 5),
    "mixed_precision": PRECISIONS,
    "lr_scheduler": LR_SCHEDULERS,
    "timestep_bias_strategy": TIMESTEP_BIAS_STRATEGIES,
    "cache": CACHES,
    "reader": tuple(READERS),
    "report_to": TRACKERS,
}


def read_train_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    presets = {"losses": {name: asdict(weights) for name, weights in LOSS_PRESETS.items()}}
    return read_config(TrainConfig, path, overrides, presets)


def _check_together(config: TrainConfig) -> None:
    """Raises ValueError where settings contradict each other."""
    if not config.folders:
        raise ValueError("`data` is empty, expected a folder that diff2lip prepare wrote")
    if config.frames_per_sample == 1 and (config.uses_syncnet or config.uses_discriminator):
        raise ValueError(
            "`frames_per_sample` is 1, but SyncNet and the discriminator need 5; set it to 5, or set"
            " losses.syncnet_weight and losses.adversarial_weight to 0 (losses: simple)"
        )
    if config.lora is not None and config.init_from is None:
        raise ValueError("`lora` needs `init_from`, the model folder that it adapts")
    if config.lora is not None and config.audio_encoder_from is not None:
        raise ValueError("`lora` keeps the audio encoder of `init_from`; leave out `audio_encoder_from`")
    begin, end = config.timestep_bias_begin, config.timestep_bias_end
    if begin >= end:
        raise ValueError(f"`timestep_bias_begin` is {begin}, expected less than `timestep_bias_end`, which is {end}")
