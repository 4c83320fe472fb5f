"""The noise of training: draws timesteps and makes noisy frames with all other inputs of the U-Net."""

from dataclasses import dataclass
from typing import Any

import torch

from ..schedulers import original_scheduler
from .losses import painted_mask, predicted_x0
from .timestep_bias import timestep_probabilities


@dataclass(frozen=True)
class NoisyBatch:
    """Noisy frames and the other inputs of the U-Net; N = B samples x T frames.

    Attributes:
        frames: (N, 3, S, S) in [-1, 1], the true frames.
        noise: (N, 3, S, S), the added noise.
        noisy: (N, 3, S, S), sqrt(a) * frames + sqrt(1 - a) * noise.
        timesteps: (N,), equal within a sample.
        alphas_cumprod: (N,), at these timesteps.
        masked_frames: (N, 3, S, S), the frames, filled with other noise where the mask is 1.
        references: (N, 3, S, S) in [-1, 1].
        mask: (1, 1, S, S), 1 where the mouth is painted.
        mel_windows: (N, 80, 16).
        unheard: (N,) bool, where the audio embedding is replaced by that of no speech; equal within a sample.
    """

    frames: torch.Tensor
    noise: torch.Tensor
    noisy: torch.Tensor
    timesteps: torch.Tensor
    alphas_cumprod: torch.Tensor
    masked_frames: torch.Tensor
    references: torch.Tensor
    mask: torch.Tensor
    mel_windows: torch.Tensor
    unheard: torch.Tensor

    def x0(self, epsilon: torch.Tensor) -> torch.Tensor:
        """Returns the frames that a predicted noise implies, not clipped, (N, 3, S, S)."""
        return predicted_x0(self.noisy, epsilon, self.alphas_cumprod)

    def painted(self, x0: torch.Tensor) -> torch.Tensor:
        """Returns frames in [-1, 1], predicted where the mask is 1 and true elsewhere, (N, 3, S, S)."""
        return torch.where(self.mask.bool(), x0.clamp(-1, 1), self.frames)


class Diffusion:
    """The noise schedule of the released model, and how often each of its timesteps is drawn.

    Args:
        audio_dropout: share of the samples that are unheard.
        **bias: arguments of [`timestep_probabilities`]; by default all timesteps are equally likely.

    Source: the original program, recorded in `tests/data/tiny_sampling.safetensors`.
    """

    def __init__(self, audio_dropout: float = 0.0, **bias: Any):
        self.audio_dropout = audio_dropout
        scheduler = original_scheduler()
        self.betas, self.alphas_cumprod = scheduler.betas, scheduler.alphas_cumprod
        self._edges = timestep_probabilities(len(self.betas), **bias).cumsum(0)

    @property
    def num_timesteps(self) -> int:
        """T."""
        return len(self.betas)

    def timesteps(self, draws: torch.Tensor) -> torch.Tensor:
        """Returns timesteps (N,) for uniform numbers in [0, 1), by the inverse of their distribution."""
        return torch.searchsorted(self._edges.to(draws.device), draws, right=True).clamp(max=self.num_timesteps - 1)

    def noisy_batch(self, samples: dict[str, torch.Tensor]) -> NoisyBatch:
        """Adds noise to a batch of samples of a [`TrainingSet`].

        The frames of a sample share timestep and noise, as all frames of a video do in the pipeline. The masked part
        is filled with noise of its own. The pipeline fills it with the initial noise; in training, that would show
        the network the noise that it must predict.
        """
        frames = samples["frames"]
        count = frames.shape[1]
        timesteps = self.timesteps(samples["draw"]).repeat_interleave(count)
        noise, fill, references = (
            samples[name].repeat_interleave(count, dim=0) for name in ("noise", "fill", "reference")
        )
        frames = frames.flatten(0, 1)
        alphas_cumprod = self.alphas_cumprod.to(frames.device)[timesteps]
        alphas = alphas_cumprod.reshape(-1, 1, 1, 1)
        mask = painted_mask(frames.shape[-1]).to(frames.device)
        return NoisyBatch(
            frames=frames,
            noise=noise,
            noisy=alphas.sqrt() * frames + (1 - alphas).sqrt() * noise,
            timesteps=timesteps,
            alphas_cumprod=alphas_cumprod,
            masked_frames=torch.where(mask.bool(), fill, frames),
            references=references,
            mask=mask,
            mel_windows=samples["mel_windows"].flatten(0, 1),
            unheard=(samples["audio_draw"] < self.audio_dropout).repeat_interleave(count),
        )
