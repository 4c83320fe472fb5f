"""Doubles the size of a trained model's crops: `python recipes/demo/grow.py MODEL OUTPUT`.

The new U-Net has one more level, for the larger size, with the channels of the old first level. At first the new
level passes its input to the old network at half the size and enlarges what comes back. Only the copy of the noisy
frame, which the old U-Net kept in its last shortcut, moves to the new level, where it is exact.
"""

import argparse

import torch

from diff2lip_diffusers import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.hub import load_pipeline


@torch.no_grad()
def grown(old: Diff2LipUNet2DConditionModel) -> Diff2LipUNet2DConditionModel:
    """Returns a U-Net for crops of twice the size, with the old weights one level deeper."""
    channels = list(old.config["block_out_channels"])
    new = Diff2LipUNet2DConditionModel(
        **{
            **{name: value for name, value in old.config.items() if not name.startswith("_")},
            "sample_size": 2 * old.config["sample_size"],
            "block_out_channels": (channels[0], *channels),
            "down_block_types": ("ResnetDownsampleBlock2D", *old.config["down_block_types"]),
        }
    )
    for name in ("time_embedding", "conv_in", "mid_block", "conv_norm_out", "conv_out"):
        getattr(new, name).load_state_dict(getattr(old, name).state_dict())
    for level, block in enumerate(old.down_blocks):
        new.down_blocks[level + 1].load_state_dict(block.state_dict())
    for place, block in enumerate(old.up_blocks):
        # The old last block had no level above it, so it has no upsampler.
        new.up_blocks[place].load_state_dict(block.state_dict(), strict=False)
    _pass_through(new)
    return new


def _pass_through(new: Diff2LipUNet2DConditionModel) -> None:
    """Sets the outer level so that it halves its input, and enlarges the output of the level below."""
    inner, outer = new.up_blocks[-2], new.up_blocks[-1]
    for resnet in (*new.down_blocks[0].resnets, *new.down_blocks[0].downsamplers, *inner.upsamplers, *outer.resnets):
        torch.nn.init.zeros_(resnet.conv2.weight)
        torch.nn.init.zeros_(resnet.conv2.bias)
    for resnet in outer.resnets:
        below = resnet.conv_shortcut.out_channels
        resnet.conv_shortcut.weight.zero_()
        resnet.conv_shortcut.bias.zero_()
        resnet.conv_shortcut.weight[:, :below, 0, 0] = torch.eye(below)
    # In both, the input has the features from below first, then those of `conv_in`.
    old_last, last = inner.resnets[-1].conv_shortcut, outer.resnets[-1].conv_shortcut
    skip = old_last.out_channels
    last.weight[:, skip:] = old_last.weight[:, skip:]
    old_last.weight[:, skip:] = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="pipeline folder")
    parser.add_argument("output", help="pipeline folder to write")
    args = parser.parse_args()
    pipe = load_pipeline(args.model, device="cpu", dtype="fp32")
    pipe.register_modules(unet=grown(pipe.unet.to(memory_format=torch.contiguous_format)))
    pipe.save_pretrained(args.output)


if __name__ == "__main__":
    main()
