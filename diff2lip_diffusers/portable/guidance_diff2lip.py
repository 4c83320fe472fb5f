"""Guidance: the speech counts for more than the U-Net gives it by itself."""

import math

import torch


def guided_prediction(
    unheard: torch.Tensor, heard: torch.Tensor, num_channels: int, mask: torch.Tensor, scale: float, rescale: float
) -> torch.Tensor:
    """Returns the guided prediction, (N, 2 * C, S, S). Guidance changes the noise only.

    Args:
        unheard: (N, 2 * C, S, S), predicted without the speech.
        heard: (N, 2 * C, S, S), predicted with it; the variance is that of this one.
        num_channels: C, channels of the noise, which come first.
        mask: (1, 1, S, S), 1 where the mouth is painted.
        scale: w in `unheard + w * (heard - unheard)`.
        rescale: how far the contrast that guidance adds is taken back, in [0, 1].

    Source: Ho and Salimans 2022; the rescaling: Lin et al. 2024, section 3.4.
    """
    unheard, heard, variance = unheard[:, :num_channels], heard[:, :num_channels], heard[:, num_channels:]
    guided = unheard + scale * (heard - unheard)
    if rescale:
        guided = guided * _rescaling(guided, heard, mask, rescale)
    return torch.cat([guided, variance], dim=1)


def check_guidance(scale: float, rescale: float) -> None:
    """Raises ValueError if a guidance scale, or its rescaling, is out of range."""
    if not (isinstance(scale, (int, float)) and 0 <= scale < math.inf):
        raise ValueError(f"`guidance_scale` is {scale!r}, expected a number, 0 or more")
    if not (isinstance(rescale, (int, float)) and 0 <= rescale <= 1):
        raise ValueError(f"`guidance_rescale` is {rescale!r}, expected a number in [0, 1]")


def _rescaling(guided: torch.Tensor, heard: torch.Tensor, mask: torch.Tensor, share: float) -> torch.Tensor:
    """Returns factors (N, 1, 1, 1) that bring guided noise a share of the way to the deviation of the unguided one.

    The deviation is that of the painted part: elsewhere the prediction means nothing.
    """
    ratio = _painted_deviation(heard, mask) / _painted_deviation(guided, mask)
    return share * ratio + 1 - share


def _painted_deviation(noise: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    rows = mask[0, 0, :, 0].bool()
    return noise[:, :, rows].std(dim=(1, 2, 3), keepdim=True)
