"""The objective of a distillation: the weighted sum of the losses against the teacher's and the true frames."""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from ..losses import (
    discriminator_loss,
    generator_adversarial_loss,
    lpips_loss,
    mouth_weight,
    syncnet_loss,
    x0_loss,
)
from ..objective import Experts
from .config import DistillConfig
from .student_batch import StudentBatch

# Height and width of the squares in `coarse_loss`. They divide the half of every usual size of a crop.
COARSE_PX = 8


class DistillObjective:
    """The losses of a batch, averaged over its frames.

    Args:
        config: settings of the run, with the weights of the losses.
        experts: networks that judge the predicted frames.
    """

    def __init__(self, config: DistillConfig, experts: Experts):
        self.config, self.experts = config, experts

    def __call__(
        self, output: torch.Tensor, batch: StudentBatch, sync_mel: torch.Tensor, discriminator: nn.Module | None
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Returns the unweighted losses by name, their weighted sum as `total`, and the painted frames (N, 3, S, S).

        Args:
            output: (N, 6, S, S), the U-Net's output.
            batch: the U-Net's input.
            sync_mel: (B, 80, 16), the mel steps from each sample's first frame on.
            discriminator: judges the painted sequences; None if the adversarial loss is off.
        """
        x0 = batch.x0(output.float()[:, :3])
        painted = batch.painted(x0)
        region = mouth_weight(batch.mask, self.config.extra_mouth_weight)
        losses = self._pixel_losses(x0, batch, region)
        if self.experts.distance is not None:
            losses["lpips"] = lpips_loss(self.experts.distance, painted, batch.painted(batch.targets))
        if self.experts.similarity is not None:
            sequences = painted.unflatten(0, (len(sync_mel), -1))
            losses["syncnet"] = syncnet_loss(self.experts.similarity(sequences, sync_mel))
        if discriminator is not None:
            losses["adversarial"] = generator_adversarial_loss(discriminator(painted, batch.references, batch.mask))
        means = {name: values.mean() for name, values in losses.items()}
        weighted = [self.config.losses.of(name) * value for name, value in means.items()]
        means["total"] = sum(weighted[1:], weighted[0])
        return means, painted

    def _pixel_losses(self, x0: torch.Tensor, batch: StudentBatch, region: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns the losses on pixels that have a weight, (N,) each, by name."""
        compared = {
            "teacher": (x0_loss, batch.targets),
            "edge": (edge_loss, batch.targets),
            "x0": (x0_loss, batch.frames),
            "x0_edge": (edge_loss, batch.frames),
            "coarse": (coarse_loss, batch.frames),
        }
        return {name: loss(x0, goal, region) for name, (loss, goal) in compared.items() if self.config.losses.of(name)}

    def of_discriminator(self, discriminator: nn.Module, batch: StudentBatch, painted: torch.Tensor) -> torch.Tensor:
        """Returns the discriminator's loss."""
        # One pass for both, as processes average their gradients once per pass.
        frames, references = torch.cat([batch.frames, painted.detach()]), batch.references.repeat(2, 1, 1, 1)
        scores = discriminator(frames, references, batch.mask)
        return discriminator_loss(*scores.chunk(2)).mean()


def edge_loss(predicted: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Returns the squared error of the differences between neighboring pixels, down and across, summed, (N,).

    Args:
        predicted: (N, C, S, S).
        targets: (N, C, S, S).
        weight: (N or 1, 1, S, S), 0 where nothing is painted; a difference has that of its second pixel.
    """
    # What is not painted is known, so there is no error.
    error = (predicted - targets) * (weight > 0)
    down, across = error.diff(dim=-2), error.diff(dim=-1)
    of_down = x0_loss(down, torch.zeros_like(down), weight[:, :, 1:])
    return of_down + x0_loss(across, torch.zeros_like(across), weight[..., 1:])


def coarse_loss(predicted: torch.Tensor, frames: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Returns the squared error of the means of 8 x 8 pixels, a weighted mean over these squares, (N,).

    Args:
        predicted: (N, C, S, S).
        frames: (N, C, S, S), the true frames.
        weight: (N or 1, 1, S, S), 0 where nothing is painted.
    """
    error = avg_pool2d((predicted - frames) * (weight > 0), COARSE_PX)
    return x0_loss(error, torch.zeros_like(error), avg_pool2d(weight, COARSE_PX))
