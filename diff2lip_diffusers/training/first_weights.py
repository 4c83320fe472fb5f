"""Initial weights of a new U-Net: its first prediction of the noise is the noisy frame itself.

At high noise levels the two are nearly equal, and the predicted frame depends on their small difference: an error of
the noise is multiplied by up to 158 in the frame. A network in which all layers normalize needs very many steps to
learn to copy its input that exactly. Here it starts with the copy and learns the difference.

The copy goes through the last skip connection. Two channels of opposite constants in each of its groups fix the
divisor of the last normalization, and SiLU(x) - SiLU(-x) = x cancels the activation.
"""

from typing import Any

import torch
from torch import nn

from ..portable.unet_diff2lip import Diff2LipUNet2DConditionModel

# The constants beside the copied frame, which has strength 1. The larger they are, the less the frame changes its own
# divisor. If they are far too large, the noise of the optimizer's steps is larger than the frame.
CONSTANT = 3.0
# Mean square of a blended sample: one half is noise, the other a frame.
USUAL_POWER = 0.6
COLORS = 3
CONSTANTS_PER_GROUP = 2


@torch.no_grad()
def begin_with_copy(unet: Diff2LipUNet2DConditionModel) -> None:
    """Sets a new U-Net's outer layers so that it predicts its input sample as the noise, and 0 as the variance.

    If the last normalization has too few groups, or fewer than four channels per group, it predicts 0 instead.
    """
    # All its convolutions have biases, and all its blocks have `resnets`; torch's annotations leave that open.
    net: Any = unet
    nn.init.zeros_(net.conv_out.weight)
    nn.init.zeros_(net.conv_out.bias)
    channels, groups = unet.config["block_out_channels"][0], unet.config["norm_num_groups"]
    places = _places(channels // groups, groups)
    if places is None:
        return
    copies, constants = places
    last = net.up_blocks[-1].resnets[-1]
    used_groups = sorted({channel // (channels // groups) for channel in copies})
    size = channels // groups
    reserved = [channel for group in used_groups for channel in range(group * size, (group + 1) * size)]
    for layer in (last.conv2, last.conv_shortcut):
        layer.weight[reserved] = 0
        layer.bias[reserved] = 0
    # A channel that is 0 and has no outgoing weight would never change.
    unused = [channel for channel in reserved if channel not in copies and channel not in constants]
    net.conv_out.weight[:, unused] = 0.02 * torch.randn_like(net.conv_out.weight[:, unused])
    # The input of the shortcut: channels from the level below, then those of conv_in.
    skip = last.conv_shortcut.in_channels - channels
    for channel in (*copies, *constants):
        net.conv_in.weight[channel] = 0
        net.conv_in.bias[channel] = 0
        last.conv_shortcut.weight[channel, skip + channel] = 1
    for channel, sign in constants.items():
        net.conv_in.bias[channel] = CONSTANT * sign
    for channel, (color, sign) in copies.items():
        group = channel // size
        copied = sum(other // size == group for other in copies)
        power = (CONSTANTS_PER_GROUP * CONSTANT**2 + copied * USUAL_POWER) / size
        net.conv_in.weight[channel, color, 1, 1] = sign
        net.conv_norm_out.weight[channel] = power**0.5
        net.conv_out.weight[color, channel, 1, 1] = sign


def _places(size: int, groups: int) -> tuple[dict[int, tuple[int, int]], dict[int, int]] | None:
    """Returns which channels carry a color with a sign, and which a constant; None if there are too few."""
    # Both signs of a color are in the same group, so that its mean stays 0.
    wanted = [(color, sign) for color in range(COLORS) for sign in (1, -1)]
    per_group = (size - CONSTANTS_PER_GROUP) // 2 * 2
    if per_group < 2 or groups * per_group < len(wanted):
        return None
    copies, constants = {}, {}
    for number, what in enumerate(wanted):
        group, place = divmod(number, per_group)
        copies[group * size + place] = what
        constants |= {group * size + size - 2: 1, group * size + size - 1: -1}
    return copies, constants
