"""The weights that training begins with: the first prediction of the noise is the noisy picture itself.

At high noise levels the two are nearly the same, and what the picture is said to be hangs on their small difference:
an error of the noise counts up to 158 times in the picture. A network whose layers all normalise learns to copy its
input that exactly only over very many steps. It begins with it here, and learns the difference.

The copy goes through the last skip connection. Two channels of opposite constants in each of its groups fix what the
last normalisation divides by, and SiLU(x) - SiLU(-x) = x takes out the activation.
"""

import torch
from torch import nn

from ..unet_diff2lip import Diff2LipUNet2DConditionModel

# The constants beside the copied picture, which has strength 1: the stronger they are, the less the picture changes
# what it is divided by; but far too strong, they drown it in the noise of the optimiser's steps.
CONSTANT = 3.0
# Mean square of a blended sample: one half is noise, the other a picture.
USUAL_POWER = 0.6
COLOURS = 3
CONSTANTS_PER_GROUP = 2


@torch.no_grad()
def begin_with_copy(unet: Diff2LipUNet2DConditionModel) -> None:
    """Sets a new U-Net's outer layers so that it predicts its sample as the noise, and 0 as the variance.

    Where the groups of the last normalisation have fewer than four channels, or there are too few of them, it
    predicts 0 instead.
    """
    nn.init.zeros_(unet.conv_out.weight)
    nn.init.zeros_(unet.conv_out.bias)
    channels, groups = unet.config.block_out_channels[0], unet.config.norm_num_groups
    places = _places(channels // groups, groups)
    if places is None:
        return
    copies, constants = places
    last = unet.up_blocks[-1].resnets[-1]
    used_groups = sorted({channel // (channels // groups) for channel in copies})
    size = channels // groups
    reserved = [channel for group in used_groups for channel in range(group * size, (group + 1) * size)]
    for layer in (last.conv2, last.conv_shortcut):
        layer.weight[reserved] = 0
        layer.bias[reserved] = 0
    # A channel that is 0 and that nothing looks at would stay so.
    unused = [channel for channel in reserved if channel not in copies and channel not in constants]
    unet.conv_out.weight[:, unused] = 0.02 * torch.randn_like(unet.conv_out.weight[:, unused])
    # The shortcut sees what comes from below, then what conv_in made.
    skip = last.conv_shortcut.in_channels - channels
    for channel in (*copies, *constants):
        unet.conv_in.weight[channel] = 0
        unet.conv_in.bias[channel] = 0
        last.conv_shortcut.weight[channel, skip + channel] = 1
    for channel, sign in constants.items():
        unet.conv_in.bias[channel] = CONSTANT * sign
    for channel, (colour, sign) in copies.items():
        group = channel // size
        copied = sum(other // size == group for other in copies)
        power = (CONSTANTS_PER_GROUP * CONSTANT**2 + copied * USUAL_POWER) / size
        unet.conv_in.weight[channel, colour, 1, 1] = sign
        unet.conv_norm_out.weight[channel] = power**0.5
        unet.conv_out.weight[colour, channel, 1, 1] = sign


def _places(size: int, groups: int) -> tuple[dict[int, tuple[int, int]], dict[int, int]] | None:
    """Which channels carry a colour with a sign, and which a constant; None where there is no room."""
    # Both signs of a colour lie in one group, so that its mean stays 0.
    wanted = [(colour, sign) for colour in range(COLOURS) for sign in (1, -1)]
    per_group = (size - CONSTANTS_PER_GROUP) // 2 * 2
    if per_group < 2 or groups * per_group < len(wanted):
        return None
    copies, constants = {}, {}
    for number, what in enumerate(wanted):
        group, place = divmod(number, per_group)
        copies[group * size + place] = what
        constants |= {group * size + size - 2: 1, group * size + size - 1: -1}
    return copies, constants
