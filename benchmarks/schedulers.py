#!/usr/bin/env python3
"""Compares the schedulers by name, on crops of drawn people that the model was not trained on. Prints two tables.

The first one has the PSNR of the painted half against DDIM with 100 steps from the same noise. Schedulers that add
noise cannot be compared like that; the second table has how the mouth follows the speech of another person: the
correlation of the opening with the true one.

    python benchmarks/schedulers.py [--model FOLDER] [--people 8] [--steps 4 8 10 15 25] [--only NAME ...]
"""

import argparse
from typing import Any

import numpy as np
import torch

from diff2lip_diffusers import Diff2LipPipeline
from diff2lip_diffusers.demo.demo_clip import teacher_folder
from diff2lip_diffusers.evaluation.agreement import agreement
from diff2lip_diffusers.evaluation.drawn_clips import DrawnClip, draw_clip
from diff2lip_diffusers.evaluation.measures.picture import psnr_db
from diff2lip_diffusers.evaluation.mouth_opening import mouth_opening, opening_zones
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import SCHEDULERS, make_scheduler

REFERENCE_STEPS, FIRST_SEED, SEED = 100, 4_000_001, 7
CLIP_FRAMES, SHOWN_FRAME, BATCH_SIZE = 40, 20, 16


def main() -> None:
    """Prints the tables as Markdown."""
    args = parse_args()
    torch.set_num_threads(1)
    pipe = load_pipeline(args.model, device="cpu", dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    size = pipe.unet.config.sample_size
    clips = [draw_clip(FIRST_SEED + 2 * number, size, CLIP_FRAMES) for number in range(args.people + 1)]
    names = args.only or list(SCHEDULERS)
    noisy = [name for name in names if SCHEDULERS[name].adds_noise]
    exact = [name for name in names if name not in noisy]
    if exact:
        print_psnr(pipe, clips, exact, args.steps)
    print_sync(pipe, clips[: args.sync_people + 1], noisy)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=str(teacher_folder()), help="model folder (default: the demo's teacher)")
    parser.add_argument("--people", type=int, default=8, help="crops in the first table (default: 8)")
    parser.add_argument("--sync-people", type=int, default=4, help="clips in the second table (default: 4)")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 10, 15, 25], help="columns of the first table")
    parser.add_argument("--only", nargs="+", choices=SCHEDULERS, help="these schedulers (default: all)")
    return parser.parse_args()


def print_psnr(pipe: Diff2LipPipeline, clips: list[DrawnClip], names: list[str], steps: list[int]) -> None:
    """Prints the PSNR in dB of each scheduler and number of steps, and the calls of the model."""
    pairs = list(zip(clips, clips[1:], strict=False))
    frames = torch.stack([clip.crops[SHOWN_FRAME] for clip, _ in pairs])
    references = torch.stack([clip.crops[0] for clip, _ in pairs])
    windows = torch.stack([mel_windows(pipe, spoken, SHOWN_FRAME + 1)[-1] for _, spoken in pairs])
    truth = paint(pipe, frames, references, windows, "ddim", REFERENCE_STEPS)
    half = frames.shape[-1] // 2
    print("| `--scheduler` | enough | " + " | ".join(f"{count} steps" for count in steps) + " |")
    print("|---" * (len(steps) + 2) + "|", flush=True)
    for name in names:
        cells = []
        for count in steps:
            painted = paint(pipe, frames, references, windows, name, count)
            error = (painted - truth)[:, :, half:].square().mean().item()
            cells.append(f"{psnr_db(255**2 * error):.1f}")
        print(f"| `{name}` | {SCHEDULERS[name].steps} | " + " | ".join(cells) + " |", flush=True)


def print_sync(pipe: Diff2LipPipeline, clips: list[DrawnClip], names: list[str]) -> None:
    """Prints how the mouth follows foreign speech: the mean and least correlation over the people."""
    print("\n| `--scheduler` | steps | correlation, mean | least |\n|---|---|---|---|", flush=True)
    for name in ("dpmsolver++", *names):
        found = [sync(pipe, *pair, name) for pair in zip(clips, clips[1:], strict=False)]
        print(f"| `{name}` | {SCHEDULERS[name].steps} | {np.mean(found):.3f} | {min(found):.3f} |", flush=True)


def sync(pipe: Diff2LipPipeline, clip: DrawnClip, spoken: DrawnClip, name: str) -> float:
    """The correlation of the painted opening with that of the true mouth of the speech."""
    count = min(len(clip.crops), len(spoken.mouth))
    windows = mel_windows(pipe, spoken, count)
    painted = paint(pipe, clip.crops[:count], clip.crops[:1], windows, name, SCHEDULERS[name].steps)
    zones = opening_zones(clip.identity, clip.poses[:count], painted.shape[-1])
    curve = mouth_opening(painted, zones, clip.identity)
    return agreement(curve, spoken.mouth[:count, 0]).correlation


def mel_windows(pipe: Diff2LipPipeline, clip: DrawnClip, count: int) -> torch.Tensor:
    """The windows (N, 80, 16) of the first frames of a clip."""
    rate = clip.spoken.sampling_rate
    samples = clip.spoken.samples[round(clip.first_s * rate) :]
    return torch.as_tensor(pipe.feature_extractor(samples, rate, clip.fps, num_frames=count).mel_windows)


def paint(
    pipe: Diff2LipPipeline,
    frames: torch.Tensor,
    references: torch.Tensor,
    windows: torch.Tensor,
    name: str,
    steps: int,
) -> torch.Tensor:
    """Painted crops (N, 3, S, S) in [0, 1]."""
    output: Any = pipe(
        frames,
        mel_windows=windows,
        reference_frames=references,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(SEED),
        scheduler=make_scheduler(name, pipe.scheduler.config),
        batch_size=BATCH_SIZE,
        output_type="pt",
    )
    return output.frames


if __name__ == "__main__":
    main()
