"""Settings that every run has that trains a denoiser: training and distillation."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

from .lora import LoraSettings
from .run_config import RunConfig

TRACKERS = ("tensorboard", "none")


class WeightsOfExperts(Protocol):
    """Weights of the losses that ask other networks."""

    @property
    def syncnet_weight(self) -> float: ...

    @property
    def lpips_weight(self) -> float: ...

    @property
    def adversarial_weight(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig(RunConfig):
    """Settings of a run that trains a denoiser, besides those of [`RunConfig`].

    Args:
        init_from: Model folder to start from.
        freeze_audio_encoder: Whether the audio encoder is not trained.
        lora: Settings of a low-rank adapter, which is trained on `init_from` instead of all weights.
        size_px: Height and width of the training crops. By default the model's `sample_size`. The network is
            convolutional, so a model for 64 pixels may be trained at 32 first.
        frames_per_sample: Consecutive frames per sample, 1 or 5. SyncNet needs 5. The discriminator
            sees as many at once.
        train_batch_size: Samples per process and micro-step.
        gradient_accumulation_steps: Micro-steps per optimizer step.
        gradient_checkpointing: Whether activations are recomputed in the backward pass, which saves memory.
        discriminator_learning_rate: Peak learning rate of the discriminator.
        discriminator_sees_reference: Whether the discriminator also sees the reference frame.
        discriminator_detail_gain: How many times amplified the discriminator also sees the finest detail of the
            frames; 0 for not at all.
        use_ema: Whether the saved model has the exponential moving average of the weights.
        ema_decay: Largest decay of the moving average, which rises to it.
        extra_mouth_weight: Pixels at the mouth count up to 1 + this in the losses on pixels.
        syncnet: Folder of a trained SyncNet. Without it, the SyncNet loss is off.
        lpips: File of LPIPS weights, or `package` for the installed one. Without it, the LPIPS loss is off.
        cache_px: Height and width of the frames in memory. By default the set's, but at most twice `size_px`.
        report_to: `tensorboard` or `none`.

    Raises:
        ValueError: if a value is out of range, or settings contradict each other.
    """

    RANGES: ClassVar = RunConfig.RANGES | {
        "size_px": (8, math.inf),
        "train_batch_size": (1, math.inf),
        "gradient_accumulation_steps": (1, math.inf),
        "discriminator_learning_rate": (0, math.inf),
        "discriminator_detail_gain": (0, math.inf),
        "ema_decay": (0, 1),
        "extra_mouth_weight": (0, math.inf),
        "cache_px": (8, math.inf),
    }
    CHOICES: ClassVar = RunConfig.CHOICES | {"frames_per_sample": (1, 5), "report_to": TRACKERS}

    init_from: str | None = None
    freeze_audio_encoder: bool = False
    lora: LoraSettings | None = None
    size_px: int | None = None
    frames_per_sample: int = 5
    train_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    discriminator_learning_rate: float = 1e-4
    discriminator_sees_reference: bool = False
    discriminator_detail_gain: float = 0.0
    use_ema: bool = True
    ema_decay: float = 0.9999
    extra_mouth_weight: float = 0.0
    syncnet: str | None = None
    lpips: str | None = None
    cache_px: int | None = None
    report_to: str = "tensorboard"

    def __post_init__(self):
        super().__post_init__()
        if self.frames_per_sample == 1 and self.uses_syncnet:
            raise ValueError(
                "`frames_per_sample` is 1, but SyncNet needs 5; set it to 5, or losses.syncnet_weight to 0"
            )

    @property
    def loss_weights(self) -> WeightsOfExperts:
        """The weights of the losses."""
        raise NotImplementedError

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
