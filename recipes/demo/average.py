"""Averages the U-Nets of two students: `python recipes/demo/average.py MODEL OTHER SHARE OUTPUT`.

Two networks of which one began as the other can be averaged weight by weight. Between one that was trained towards the
likeliest frame and one that was trained to deceive a discriminator, this chooses how sharp the result is.

Source: Wang et al. 2018 (ESRGAN), section 3.4, network interpolation.
"""

import argparse

import torch

from diff2lip_diffusers.hub import load_pipeline


@torch.no_grad()
def main() -> None:
    """Writes the first model with a U-Net between those of both."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("model", metavar="MODEL", help="folder of a model")
    parser.add_argument("other", metavar="OTHER", help="folder of a model that was trained further from it")
    parser.add_argument("share", metavar="SHARE", type=float, help="of the other, from 0 to 1")
    parser.add_argument("output", metavar="OUTPUT", help="folder to write")
    args = parser.parse_args()
    pipe, other = (load_pipeline(model, device="cpu", dtype="fp32") for model in (args.model, args.other))
    for weight, its in zip(pipe.unet.parameters(), other.unet.parameters(), strict=True):
        weight.lerp_(its, args.share)
    pipe.save_pretrained(args.output)


if __name__ == "__main__":
    main()
