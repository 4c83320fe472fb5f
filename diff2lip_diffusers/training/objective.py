"""The objective of training: the weighted sum of the losses, and the discriminator's loss."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ..evaluation.perceptual import load_distance
from ..syncnet import SyncNet, load_syncnet
from .config import TrainConfig
from .denoiser_config import DenoiserConfig
from .diffusion import Diffusion, NoisyBatch
from .losses import (
    discriminator_loss,
    epsilon_loss,
    generator_adversarial_loss,
    lpips_loss,
    mouth_weight,
    syncnet_loss,
    variance_loss,
    x0_loss,
    x0_timestep_weight,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experts:
    """Frozen networks that judge the predicted frames; None where one is off.

    Attributes:
        similarity: function of frames (B, T, 3, S, S) in [-1, 1] and mel steps (B, 80, 16) from the first frame on;
            returns the cosine similarity of SyncNet's embeddings, (B,).
        distance: the function that `lpips_loss` calls.
    """

    similarity: Callable | None = None
    distance: Callable | None = None


class Objective:
    """The losses of a batch, averaged over its frames.

    Args:
        config: settings of the run, with the weights of the losses.
        diffusion: the noise schedule.
        experts: networks that judge the predicted frames.
    """

    def __init__(self, config: TrainConfig, diffusion: Diffusion, experts: Experts):
        self.config, self.diffusion, self.experts = config, diffusion, experts

    def __call__(
        self, output: torch.Tensor, batch: NoisyBatch, sync_mel: torch.Tensor, discriminator: nn.Module | None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Returns the unweighted losses by name, their weighted sum as `total`, and the painted frames (N, 3, S, S).

        Args:
            output: (N, 6, S, S), the U-Net's output.
            batch: the U-Net's input.
            sync_mel: (B, 80, 16), the mel steps from each sample's first frame on.
            discriminator: judges the painted sequences; None if the adversarial loss is off.
        """
        weights = self.config.loss_weights
        epsilon, variance = output.float().chunk(2, dim=1)
        x0 = batch.x0(epsilon)
        painted = batch.painted(x0)
        region = mouth_weight(batch.mask, self.config.extra_mouth_weight)
        x0_weight = x0_timestep_weight(batch.alphas_cumprod, self.config.x0_snr_gain)
        judge_weight = x0_weight.sqrt()
        losses = {"epsilon": epsilon_loss(epsilon, batch.noise, region)}
        if weights.variance_weight:
            betas = self.diffusion.betas.to(epsilon.device)
            losses["variance"] = variance_loss(
                batch.frames, batch.noisy, epsilon, variance, batch.timesteps, betas, batch.mask
            )
        if weights.x0_weight:
            losses["x0"] = x0_weight * x0_loss(x0, batch.frames, region)
        if self.experts.distance is not None:
            losses["lpips"] = judge_weight * lpips_loss(self.experts.distance, painted, batch.frames)
        # For losses of whole sequences: all frames of a sequence have the same timestep.
        sequence_weight = judge_weight[:: self.config.frames_per_sample]
        if self.experts.similarity is not None:
            sequences = painted.unflatten(0, (len(sync_mel), -1))
            # What is painted without hearing the speech cannot follow it.
            heard = ~batch.unheard[:: self.config.frames_per_sample]
            losses["syncnet"] = heard * sequence_weight * syncnet_loss(self.experts.similarity(sequences, sync_mel))
        if discriminator is not None:
            losses["adversarial"] = sequence_weight * generator_adversarial_loss(
                discriminator(painted, batch.references, batch.mask)
            )
        means = {name: values.mean() for name, values in losses.items()}
        weighted = [weights.of(name) * value for name, value in means.items()]
        means["total"] = sum(weighted[1:], weighted[0])
        return means, painted

    def of_discriminator(self, discriminator: nn.Module, batch: NoisyBatch, painted: torch.Tensor) -> torch.Tensor:
        """Returns the discriminator's loss, with each sequence weighted as in the adversarial loss."""
        weight = x0_timestep_weight(batch.alphas_cumprod, self.config.x0_snr_gain).sqrt()
        # One pass for both, as processes average their gradients once per pass.
        frames, references = torch.cat([batch.frames, painted.detach()]), batch.references.repeat(2, 1, 1, 1)
        scores = discriminator(frames, references, batch.mask)
        losses = discriminator_loss(*scores.chunk(2))
        return (weight[:: self.config.frames_per_sample] * losses).mean()


def load_experts(config: DenoiserConfig, device: torch.device) -> Experts:
    """Loads the expert networks of a run; warns of each that has a loss weight but is not given.

    Raises:
        Diff2LipError: if one cannot be loaded.
    """
    similarity = distance = None
    if config.syncnet is not None and config.uses_syncnet:
        similarity = _similarity_by(_frozen_syncnet(config.syncnet, device))
    elif config.loss_weights.syncnet_weight:
        logger.warning("the SyncNet loss is off: no trained SyncNet is given (`syncnet`)")
    if config.lpips is not None and config.uses_lpips:
        distance = load_distance(config.lpips, device)
    elif config.loss_weights.lpips_weight:
        logger.warning("the LPIPS loss is off: no weights are given (`lpips`)")
    return Experts(similarity, distance)


def _frozen_syncnet(path: str, device: torch.device) -> SyncNet:
    # Diffusers' annotation of `to` lacks its arguments.
    return load_syncnet(path).to(device).requires_grad_(False)  # pyright: ignore[reportArgumentType, reportCallIssue]


def _similarity_by(syncnet: SyncNet) -> Callable:
    def similarity(sequences: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        face_embeds, audio_embeds = syncnet(syncnet.face_input(sequences), mel.unsqueeze(1))
        return (face_embeds * audio_embeds).sum(dim=1)

    return similarity
