"""Settings of a training run of the diffusion model: a frozen dataclass, all values checked before any work."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from .config_checks import check_choice
from .config_file import read_config
from .denoiser_config import DenoiserConfig
from .loss_weights import LOSS_PRESETS, LossWeights
from .model_config import ModelConfig
from .timestep_bias import TIMESTEP_BIAS_STRATEGIES


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DenoiserConfig):
    """Settings of a training run of the diffusion model, besides those of [`DenoiserConfig`] and [`RunConfig`].

    Args:
        model: Sizes of a new model. By default those of `init_from`, or of the released model.
        audio_encoder_from: Folder of a trained audio encoder.
        audio_dropout: Share of the samples whose audio embedding is replaced by one that stands for no speech, for
            `guidance_scale`; 0.1 is usual. It is learned if the audio encoder is trained.
        losses: Weights of the losses, or the name of a preset, `paper` or `simple`.
        x0_snr_gain: The losses on the predicted frame count less at high noise: by min(1, `x0_snr_gain` * SNR), where
            SNR is the signal-to-noise ratio at the timestep.
        timestep_bias_strategy: Which timesteps are drawn more often: `none`, `earlier`, `later` or `range`.
        timestep_bias_multiplier: Biased timesteps are drawn this many times as often as others.
        timestep_bias_begin: First biased timestep of the strategy `range`.
        timestep_bias_end: Timestep after the last biased one of the strategy `range`.
        timestep_bias_portion: Share of the timesteps that the strategies `earlier` and `later` bias.

    Raises:
        ValueError: if a value is out of range, or settings contradict each other.
    """

    RANGES: ClassVar = DenoiserConfig.RANGES | {
        "audio_dropout": (0, 1),
        "x0_snr_gain": (0, math.inf),
        "timestep_bias_multiplier": (1e-12, 1e12),
        "timestep_bias_begin": (0, 999),
        "timestep_bias_end": (1, 1000),
        "timestep_bias_portion": (0, 1),
    }
    CHOICES: ClassVar = DenoiserConfig.CHOICES | {"timestep_bias_strategy": TIMESTEP_BIAS_STRATEGIES}

    lr_scheduler: str = "constant"
    lr_warmup_steps: int = 500
    model: ModelConfig | None = None
    audio_encoder_from: str | None = None
    audio_dropout: float = 0.0
    losses: LossWeights | str = field(default_factory=LossWeights)
    x0_snr_gain: float = 100.0
    timestep_bias_strategy: str = "none"
    timestep_bias_multiplier: float = 1.0
    timestep_bias_begin: int = 0
    timestep_bias_end: int = 1000
    timestep_bias_portion: float = 0.25

    def __post_init__(self):
        if isinstance(self.losses, str):
            check_choice(self, "losses", tuple(LOSS_PRESETS))
            object.__setattr__(self, "losses", LOSS_PRESETS[self.losses])
        super().__post_init__()
        _check_together(self)

    @property
    def loss_weights(self) -> LossWeights:
        """The weights of the losses, also where `losses` was the name of a preset."""
        return LOSS_PRESETS[self.losses] if isinstance(self.losses, str) else self.losses


def read_train_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> TrainConfig:
    """Returns the settings in a YAML file; see [`read_config`]."""
    presets = {"losses": {name: asdict(weights) for name, weights in LOSS_PRESETS.items()}}
    return read_config(TrainConfig, path, overrides, presets)


def _check_together(config: TrainConfig) -> None:
    """Raises ValueError where settings contradict each other."""
    if config.lora is not None and config.init_from is None:
        raise ValueError("`lora` needs `init_from`, the model folder that it adapts")
    if config.lora is not None and config.audio_encoder_from is not None:
        raise ValueError("`lora` keeps the audio encoder of `init_from`; leave out `audio_encoder_from`")
    begin, end = config.timestep_bias_begin, config.timestep_bias_end
    if begin >= end:
        raise ValueError(f"`timestep_bias_begin` is {begin}, expected less than `timestep_bias_end`, which is {end}")
