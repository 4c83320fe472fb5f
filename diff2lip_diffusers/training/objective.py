"""What is minimised: the weighted sum of the losses of a batch, and the loss of the discriminator."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ..syncnet import SyncNet, load_syncnet
from .config import TrainConfig
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
from .perceptual import load_distance

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Experts:
    """Frozen networks that judge what is painted; None where one is off.

    Attributes:
        similarity: called with pictures (B, T, 3, S, S) in [-1, 1] and the mel steps (B, 80, 16) that begin with the
            first; gives the cosine similarity of SyncNet's embeddings, (B,).
        distance: as `lpips_loss` wants it.
    """

    similarity: Callable | None = None
    distance: Callable | None = None


class Objective:
    """The losses of batches, averaged over their frames.

    Args:
        config: which losses, and how much each counts.
        diffusion: the noise schedule.
        experts: judge what is painted.
    """

    def __init__(self, config: TrainConfig, diffusion: Diffusion, experts: Experts):
        self.config, self.diffusion, self.experts = config, diffusion, experts

    def __call__(
        self, output: torch.Tensor, batch: NoisyBatch, sync_mel: torch.Tensor, discriminator: nn.Module | None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The losses by name, unweighted, with their weighted sum as `total`; and the painted pictures (N, 3, S, S).

        Args:
            output: (N, 6, S, S), of the U-Net.
            batch: what it saw.
            sync_mel: (B, 80, 16), the mel steps that begin with each sample's first frame.
            discriminator: judges the painted sequences; None where the adversarial loss is off.
        """
        weights = self.config.losses
        epsilon, variance = output.float().chunk(2, dim=1)
        x0 = batch.x0(epsilon)
        painted = batch.painted(x0)
        region = mouth_weight(batch.mask, self.config.mouth_focus)
        x0_weight = x0_timestep_weight(batch.alphas_cumprod, self.config.x0_gain)
        judge_weight = x0_weight.sqrt()
        losses = {"epsilon": epsilon_loss(epsilon, batch.noise, region)}
        if weights.variance:
            betas = self.diffusion.betas.to(epsilon.device)
            losses["variance"] = variance_loss(
                batch.frames, batch.noisy, epsilon, variance, batch.timesteps, betas, batch.mask
            )
        if weights.x0:
            losses["x0"] = x0_weight * x0_loss(x0, batch.frames, region)
        if self.experts.distance is not None:
            losses["lpips"] = judge_weight * lpips_loss(self.experts.distance, painted, batch.frames)
        # What judges sequences: all frames of one have the same timestep.
        sequence_weight = judge_weight[:: self.config.frames_per_sample]
        if self.experts.similarity is not None:
            sequences = painted.unflatten(0, (len(sync_mel), -1))
            losses["syncnet"] = sequence_weight * syncnet_loss(self.experts.similarity(sequences, sync_mel))
        if discriminator is not None:
            losses["adversarial"] = sequence_weight * generator_adversarial_loss(discriminator(painted, batch.mask))
        means = {name: values.mean() for name, values in losses.items()}
        means["total"] = sum(getattr(weights, name) * value for name, value in means.items())
        return means, painted

    def of_discriminator(self, discriminator: nn.Module, batch: NoisyBatch, painted: torch.Tensor) -> torch.Tensor:
        """The loss of the discriminator, each sequence weighted as in the adversarial loss."""
        weight = x0_timestep_weight(batch.alphas_cumprod, self.config.x0_gain).sqrt()
        # In one pass, as gradients are averaged over processes once a pass.
        scores = discriminator(torch.cat([batch.frames, painted.detach()]), batch.mask)
        losses = discriminator_loss(*scores.chunk(2))
        return (weight[:: self.config.frames_per_sample] * losses).mean()


def load_experts(config: TrainConfig, device: torch.device) -> Experts:
    """The experts that a run has, and a line in the log for each that its losses ask for but that is not given.

    Raises:
        Diff2LipError: if one cannot be loaded.
    """
    similarity = distance = None
    if config.uses_syncnet:
        similarity = _similarity_by(load_syncnet(config.syncnet).to(device).requires_grad_(False))
    elif config.losses.syncnet:
        logger.warning("SyncNet's loss is off: no trained expert is given (`syncnet`)")
    if config.uses_lpips:
        distance = load_distance(config.lpips, device)
    elif config.losses.lpips:
        logger.warning("the LPIPS loss is off: no weights are given (`lpips`)")
    return Experts(similarity, distance)


def _similarity_by(expert: SyncNet) -> Callable:
    def similarity(sequences: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
        face_embeds, audio_embeds = expert(expert.face_input(sequences), mel.unsqueeze(1))
        return (face_embeds * audio_embeds).sum(dim=1)

    return similarity
