"""The denoising loop: from noise to painted mouths, for one batch of face crops."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .call_state_diff2lip import PipelineCall
from .frames_diff2lip import uploaded
from .guidance_diff2lip import guided_prediction
from .scheduler_use_diff2lip import learns_variance


@dataclass(eq=False)
class CropBatch:
    """Face crops to paint together: N frames of S x S pixels.

    Args:
        frames: (N, 3, S, S) in [0, 1].
        references: (N, 3, S, S) in [0, 1], crops that show the person.
        audio_embeds: (N, E).
        latents: (N, 3, S, S), noise of unit variance: the first sample, and the filling of the masked frames.
    """

    frames: torch.Tensor
    references: torch.Tensor
    audio_embeds: torch.Tensor
    latents: torch.Tensor

    def __getitem__(self, chosen: slice) -> "CropBatch":
        return CropBatch(*(part[chosen] for part in vars(self).values()))

    def __len__(self) -> int:
        return len(self.frames)


def denoise(
    unet: Any, batch: CropBatch, mask: torch.Tensor, call: PipelineCall, step_kwargs: dict, end_step: Callable
) -> torch.Tensor:
    """Returns one batch of frames, (N, 3, S, S) in [0, 1], with the mouths painted.

    Args:
        unet: predicts the noise.
        batch: crops, speech and noise.
        mask: (1, 1, S, S) bool, true where the mouth is painted.
        call: scheduler and guidance.
        step_kwargs: extra arguments for `scheduler.step`.
        end_step: called as `(step, timestep, tensors)`; returns the tensors for the next step.

    Source: the original program, recorded in `tests/data/tiny_sampling.safetensors`.
    """
    latents, audio_embeds = batch.latents, batch.audio_embeds
    frames, references = uploaded(batch.frames, latents.device), uploaded(batch.references, latents.device)
    masked_frames = torch.where(mask, latents, 2 * frames - 1)
    # A scheduler reads the values of its timesteps: on a GPU, each step would wait for all that is still computed.
    scheduler, timesteps = call.scheduler, call.start(torch.device("cpu"))
    timesteps_for_unet = timesteps.to(latents.device, non_blocking=True)
    sample, unet_mask = latents * scheduler.init_noise_sigma, mask.to(latents.dtype)
    for step, timestep in enumerate(timesteps):
        if call.interrupt:
            break
        model_input = scheduler.scale_model_input(sample, timestep)
        crops = (model_input, masked_frames, 2 * references - 1)
        model_output = predict_noise(unet, crops, timesteps_for_unet[step], unet_mask, audio_embeds, call)
        if not learns_variance(scheduler):
            model_output = model_output[:, : sample.shape[1]]
        sample = scheduler.step(model_output, timestep, sample, **step_kwargs).prev_sample
        tensors = end_step(step, timestep, {"latents": sample, "audio_embeds": audio_embeds})
        sample, audio_embeds = tensors["latents"], tensors["audio_embeds"]
    return torch.where(mask, (sample / 2 + 0.5).clamp(0, 1), frames)


def predict_noise(
    unet: Any,
    crops: tuple[torch.Tensor, ...],
    timestep: torch.Tensor,
    mask: torch.Tensor,
    audio_embeds: torch.Tensor,
    call: PipelineCall,
) -> torch.Tensor:
    """Returns the U-Net's prediction for noise and variance, (N, 6, S, S); with guidance, of one pass for both.

    Args:
        unet: predicts the noise.
        crops: the scaled sample, masked frames and references, each (N, 3, S, S).
        timestep: of this step.
        mask: (1, 1, S, S), 1 where the mouth is painted.
        audio_embeds: (N, E).
        call: scheduler and guidance.
    """
    if call.null_embeds is None:
        sample, *others = crops
        return unet(sample, timestep, *others, mask, audio_embeds).sample
    sample, *others = (torch.cat([crop, crop]) for crop in crops)
    both_embeds = torch.cat([call.null_embeds.expand_as(audio_embeds), audio_embeds])
    unheard, heard = unet(sample, timestep, *others, mask, both_embeds).sample.chunk(2)
    return guided_prediction(unheard, heard, sample.shape[1], mask, call.guidance_scale, call.guidance_rescale)


def painted_mask(sample_size: int, painted_fraction: float, device: torch.device | str = "cpu") -> torch.Tensor:
    """Returns a mask (1, 1, S, S) bool, true where the mouth is painted.

    The first painted row is int(S * (1 - `painted_fraction`)).
    """
    rows = torch.arange(sample_size, device=device) >= int(sample_size * (1 - painted_fraction))
    return rows[None, None, :, None].expand(1, 1, sample_size, sample_size)
