#!/usr/bin/env python3
"""Measures the effect of the SyncNet loss and the sequence discriminator in short runs on the corpus.

Each run starts from the same model and has the same steps and samples; only the weights of the two losses differ.

    python benchmarks/ablation.py --model RUN/model --data SET --syncnet SYNCNET_RUN/model [--steps 200] [--size 32]
"""

import argparse
import tempfile
from pathlib import Path

from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.evaluation.drawn_people import draw_people, write_people
from diff2lip_diffusers.evaluation.lip_sync_drawn import lip_sync_drawn
from diff2lip_diffusers.evaluation.run import evaluate
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import make_scheduler
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.loss_weights import LossWeights
from diff2lip_diffusers.training.trainer import train

PAPER = LossWeights()
VARIANTS = {
    "neither": (0.0, 0.0),
    "SyncNet": (PAPER.syncnet_weight, 0.0),
    "discriminator": (0.0, PAPER.adversarial_weight),
    "both": (PAPER.syncnet_weight, PAPER.adversarial_weight),
}
SAMPLER, STEPS = "dpmsolver++", 8


def main() -> None:
    """Prints a row for each variant, and one for the initial weights."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pairs = write_people(folder, draw_people(args.clips, args.frames))
        print("losses          correlation  with the original speech    lag  PSNR, dB")
        print_row("before", args.model, args.size, folder, pairs)
        for name, (syncnet, adversarial) in VARIANTS.items():
            losses = LossWeights(syncnet_weight=syncnet, adversarial_weight=adversarial, lpips_weight=0.0)
            run(args, folder / f"run {name}", losses)
            print_row(name, str(folder / f"run {name}" / "model"), args.size, folder, pairs)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, metavar="DIR", help="model folder that all runs start from")
    parser.add_argument("--data", required=True, metavar="DIR", help="a set that diff2lip prepare wrote")
    parser.add_argument("--syncnet", required=True, metavar="DIR", help="the SyncNet's folder")
    parser.add_argument("--steps", type=int, default=200, help="training steps (default: 200)")
    parser.add_argument("--size", type=int, default=32, help="height and width of the crops (default: 32)")
    parser.add_argument("--clips", type=int, default=10, help="number of people to measure on (default: 10)")
    parser.add_argument("--frames", type=int, default=40, help="frames per person (default: 40)")
    return parser.parse_args()


def run(args: argparse.Namespace, output: Path, losses: LossWeights) -> None:
    """Trains one variant."""
    config = TrainConfig(
        data=args.data,
        output=str(output),
        max_train_steps=args.steps,
        init_from=args.model,
        size_px=args.size,
        train_batch_size=4,
        learning_rate=3e-4,
        lr_warmup_steps=20,
        ema_decay=0.98,
        losses=losses,
        syncnet=args.syncnet if losses.syncnet_weight else None,
        x0_snr_gain=60.0,
        extra_mouth_weight=2.0,
        timestep_bias_strategy="range",
        timestep_bias_multiplier=31 / 11,
        timestep_bias_begin=300,
        timestep_bias_end=850,
        cache="memory",
        validation_steps=0,
        report_to="none",
    )
    for _ in train(config):
        pass


def print_row(name: str, model: str, size: int, folder: Path, pairs: list[Pair]) -> None:
    """Measures a model folder: medians over the people."""
    pipe = load_pipeline(model, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.register_to_config(sample_size=size)
    pipe.scheduler = make_scheduler(SAMPLER, pipe.scheduler.config)
    results = lip_sync_drawn(pipe, pairs, folder / name, num_inference_steps=STEPS)
    truth = folder / "truth"
    found = evaluate(results, folder / f"report {name}", truth, truth=truth, measures=("mouth", "picture")).results
    median = {measure: summary.median for measure, summary in found.systems[0].summaries.items()}
    target, original = median["opening_correlation"], median["opening_original"]
    lag, psnr = median["opening_lag"], median["psnr_painted"]
    print(f"{name:<14}  {target:11.3f}  {original:26.3f}  {lag:3g}  {psnr:8.2f}", flush=True)


if __name__ == "__main__":
    main()
