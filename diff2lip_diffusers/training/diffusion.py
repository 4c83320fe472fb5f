"""Noise for training: which timesteps are trained on, and noisy frames with everything the U-Net looks at."""

from dataclasses import dataclass

import torch

from ..schedulers import original_scheduler
from .losses import painted_mask, predicted_x0


@dataclass(frozen=True)
class NoisyBatch:
    """Frames with noise added, ready for the U-Net; N = B samples x T frames.

    Attributes:
        frames: (N, 3, S, S) in [-1, 1], the truth.
        noise: (N, 3, S, S), what was added.
        noisy: (N, 3, S, S), sqrt(a) * frames + sqrt(1 - a) * noise.
        timesteps: (N,), equal within a sample.
        alphas_cumprod: (N,), at these timesteps.
        masked_frames: (N, 3, S, S), the frames with other noise where the mouth is painted.
        references: (N, 3, S, S) in [-1, 1].
        mask: (1, 1, S, S), 1 where the mouth is painted.
        mel_windows: (N, 80, 16).
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

    def x0(self, epsilon: torch.Tensor) -> torch.Tensor:
        """The pictures that a predicted noise implies, not clipped, (N, 3, S, S)."""
        return predicted_x0(self.noisy, epsilon, self.alphas_cumprod)

    def painted(self, x0: torch.Tensor) -> torch.Tensor:
        """The pictures in [-1, 1], painted where the mask is 1 and true elsewhere, (N, 3, S, S)."""
        return torch.where(self.mask.bool(), x0.clamp(-1, 1), self.frames)


class Diffusion:
    """The noise schedule of the released model, and which of its timesteps are trained on.

    Args:
        focus: share of samples whose timestep is drawn from `focus_range` only; the others' from all. The density is
            (1 - focus) / T everywhere plus focus / (last - first) within the range.
        focus_range: first timestep, and the one behind the last: those that decide the mouth. Below, the noisy frame
            shows the mouth already; above, hardly its place is decided.

    Source: SPEC "Diffusion".
    """

    def __init__(self, focus: float = 0.0, focus_range: tuple[int, int] = (450, 950)):
        scheduler = original_scheduler()
        self.betas, self.alphas_cumprod = scheduler.betas, scheduler.alphas_cumprod
        self.focus, self.focus_range = focus, focus_range

    @property
    def num_timesteps(self) -> int:
        """T."""
        return len(self.betas)

    def timesteps(self, draws: torch.Tensor) -> torch.Tensor:
        """Timesteps from numbers in [0, 1), by the inverse of their distribution, (N,)."""
        first, last = self.focus_range
        density = torch.full((self.num_timesteps,), (1 - self.focus) / self.num_timesteps, dtype=torch.float64)
        density[first:last] += self.focus / (last - first)
        edges = density.cumsum(0).to(draws.device)
        return torch.searchsorted(edges, draws, right=True).clamp(max=self.num_timesteps - 1)

    def noisy_batch(self, samples: dict[str, torch.Tensor]) -> NoisyBatch:
        """Noise added to a batch of samples of a [`TrainingSet`].

        The frames of a sample share timestep and noise, as all frames do when a video is painted. What fills the
        masked frames is noise of its own, where the pipeline fills in the initial noise: in training that would be
        the noise of the noisy frames, which is exactly what the network is to predict.
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
        )
