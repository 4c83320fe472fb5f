#!/usr/bin/env python3
"""Measures the U-Net: seconds per frame and step by precision, memory format, batch size and compilation.

The variants take turns, round after round, so that their ratios hold on a machine whose speed drifts.

    python benchmarks/unet.py --rounds 5 --batch-sizes 1 4 --compile
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch

from diff2lip_diffusers import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.hub import DTYPES, default_device, default_dtype

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Variant:
    """A way to run the U-Net. Ratios compare with the first variant of a run."""

    dtype: str
    memory_format: str
    batch_size: int
    compiled: bool

    def __str__(self) -> str:
        compiled = "compiled" if self.compiled else "eager"
        return f"{self.dtype:5} {self.memory_format:13} batch {self.batch_size:<3} {compiled:8}"


def main() -> None:
    """Measures all variants and prints a row for each."""
    args = parse_args()
    variants = [
        Variant(*choice)
        for choice in product(args.dtypes, args.memory_formats, args.batch_sizes, [False, True][: 1 + args.compile])
    ]
    seconds: dict[Variant, list[float]] = {variant: [] for variant in variants}
    steps = {variant: prepare(variant, args.device) for variant in variants}
    for _ in range(args.rounds):
        for variant, step in steps.items():
            seconds[variant].append(measure(step, args.device) / variant.batch_size)
    report(seconds, args)


def parse_args() -> argparse.Namespace:
    """Parses the command line. Compilation is not measured by default: it takes minutes to warm up."""
    device = default_device()
    fast = default_dtype(device)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default=device)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(dict.fromkeys(("fp32", fast))))
    parser.add_argument("--memory-formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--compile", action="store_true", help="measure torch.compile as well")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


@torch.inference_mode()
def prepare(variant: Variant, device: str) -> Callable[[], None]:
    """Returns a warmed-up function that runs one step of the released size on one batch."""
    torch.manual_seed(0)
    with torch.device(device):
        unet = Diff2LipUNet2DConditionModel().eval()
        images = torch.randn(3, variant.batch_size, 3, 128, 128)
        mask = torch.zeros(1, 1, 128, 128)
        mask[..., 64:, :] = 1
        audio_embeds = torch.randn(variant.batch_size, 512)
    unet = cast(unet, variant.dtype).to(memory_format=FORMATS[variant.memory_format])
    model = torch.compile(unet) if variant.compiled else unet

    @torch.inference_mode()
    def step() -> None:
        model(images[0], 500, images[1], images[2], mask, audio_embeds)

    step()
    return step


def cast(unet: torch.nn.Module, dtype: str) -> torch.nn.Module:
    """Returns the model in another precision."""
    return {"fp32": unet.float, "fp16": unet.half, "bf16": unet.bfloat16}[dtype]()


def measure(step: Callable[[], None], device: str) -> float:
    """Returns the seconds that one step takes."""
    start = time.perf_counter()
    step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def report(seconds: dict[Variant, list[float]], args: argparse.Namespace) -> None:
    """Prints the medians, and the ratios to the first variant, taken round by round."""
    baseline = next(iter(seconds.values()))
    print(f"{args.device}, torch {torch.__version__}, {torch.get_num_threads()} threads, {args.rounds} rounds")
    print(f"{'':37} {'s / frame and step':>18} {'times as fast':>14} {'(min - max)':>15}")
    for variant, times in seconds.items():
        ratios = [first / own for first, own in zip(baseline, times, strict=True)]
        spread = f"({min(ratios):.2f} - {max(ratios):.2f})"
        print(f"{variant!s:37} {statistics.median(times):18.4f} {statistics.median(ratios):14.2f} {spread:>15}")


if __name__ == "__main__":
    main()
