"""The sequence discriminator: tells whether the lower halves of five frames are true or painted."""

import torch
from torch import nn
from torch.nn.functional import conv2d, pad
from torch.nn.utils.parametrizations import spectral_norm

# Weights of a blur of 5 pixels; what it takes away is the finest detail.
BLUR = torch.tensor([1, 4, 6, 4, 1]) / 16


class SequenceDiscriminator(nn.Module):
    """Scores overlapping patches of the painted half of consecutive frames.

    The frames are stacked to one image of 3 T channels, so that the network sees how they move.

    Letters in shapes: B samples of T frames, S x S pixels.

    Args:
        num_frames: T.
        base_channels: channels of the first convolution; they double twice.
        sees_reference: whether it also sees the lower half of the reference frame, and so whether colors are
            this person's.
        detail_gain: how many times amplified it also sees the frames' finest detail, which it hardly notices
            otherwise; 0: not at all.

    Source: Isola et al. 2017 (PatchGAN; its discriminator sees what the generator sees); Miyato et al. 2018
        (spectral normalization).
    """

    def __init__(
        self, num_frames: int = 5, base_channels: int = 32, sees_reference: bool = False, detail_gain: float = 0
    ):
        super().__init__()
        self.num_frames, self.sees_reference, self.detail_gain = num_frames, sees_reference, detail_gain
        num_seen = num_frames * (1 + bool(detail_gain)) + sees_reference
        channels = [3 * num_seen, base_channels, 2 * base_channels, 4 * base_channels]
        layers: list[nn.Module] = []
        for before, after in zip(channels[:-1], channels[1:], strict=True):
            layers += [_conv(before, after, stride=2), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, _conv(channels[-1], 1, stride=1))

    def forward(self, frames: torch.Tensor, references: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Returns the scores of patches, 1 for true and 0 for painted, (B, 1, H, W).

        Args:
            frames: (B * T, 3, S, S) in [-1, 1], the frames of a sample one after another.
            references: (B * T, 3, S, S) in [-1, 1], the reference frame of each; those of a sample are equal.
            mask: (1, 1, S, S), 1 in the rows that are painted.
        """
        seen = frames.unflatten(0, (-1, self.num_frames)).flatten(1, 2)
        if self.detail_gain:
            seen = torch.cat([seen, self.detail_gain * finest_detail(seen)], dim=1)
        if self.sees_reference:
            seen = torch.cat([seen, references[:: self.num_frames]], dim=1)
        rows = mask[0, 0, :, 0].bool()
        return self.layers(seen[:, :, rows])


def finest_detail(frames: torch.Tensor) -> torch.Tensor:
    """Returns what a blur of 5 pixels takes away from frames (N, C, S, S)."""
    kernel = torch.outer(BLUR, BLUR).to(frames).expand(frames.shape[1], 1, -1, -1)
    return frames - conv2d(pad(frames, (2, 2, 2, 2), mode="replicate"), kernel, groups=frames.shape[1])


def _conv(before: int, after: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, after, kernel_size=4 if stride > 1 else 3, stride=stride, padding=1))
