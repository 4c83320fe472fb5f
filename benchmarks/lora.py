#!/usr/bin/env python3
"""What 100 steps of LoRA on one person's video gain: a drawn person that nobody trained on.

One video of the person is trained on; the error of the painted half is measured on another one, before and after.

    python benchmarks/lora.py [--model FOLDER] [--steps 100] [--people 1]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from diff2lip_diffusers.corpus.make_corpus import CorpusSettings, clip_seed, make_corpus
from diff2lip_diffusers.corpus.motion import draw_motion
from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.metrics.drawn_clips import DrawnClip, draw_clip, draw_crops
from diff2lip_diffusers.metrics.mouth_sync import paint, psnr_db
from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.prepare_videos import prepare_videos
from diff2lip_diffusers.schedulers import make_scheduler
from diff2lip_diffusers.training.config import LoraSettings, TrainConfig
from diff2lip_diffusers.training.trainer import train

SAMPLER, STEPS, NUM_FRAMES = "dpmsolver++", 8, 40
# The demo's model hardly attends; convolutions are most of it.
LAYERS = ("conv1", "conv2", "to_q", "to_k", "to_v", "to_out.0")


def main() -> None:
    """Prints the errors before and after, and the adapter's size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=str(demo_model_folder()), help="model folder (default: the demo's)")
    parser.add_argument("--steps", type=int, default=100, help="of training (default: 100)")
    parser.add_argument("--people", type=int, default=1, help="one after another (default: 1)")
    args = parser.parse_args()
    for number in range(args.people):
        with tempfile.TemporaryDirectory() as folder:
            measure(args.model, args.steps, number, Path(folder))


def measure(model: str, steps: int, number: int, folder: Path) -> None:
    """One person."""
    settings = CorpusSettings(seed=77 + number, split="test", size_px=192)
    make_corpus(folder / "corpus", 1, settings)
    size = load_pipeline(model, dtype="fp32").unet.config.sample_size
    prepare_videos(folder / "corpus", folder / "set", PrepareOptions(size_px=size))
    config = TrainConfig(
        data=str(folder / "set"),
        output=str(folder / "run"),
        steps=steps,
        init_from=model,
        lora=LoraSettings(target_modules=LAYERS),
        losses="simple",
        frames_per_sample=1,
        batch_size=8,
        learning_rate=1e-3,
        warmup_steps=10,
        ema_decay=0.95,
        held_out_fraction=0,
        cache="memory",
        sample_every=0,
        tracker="none",
    )
    losses = [record.losses["total"] for record in train(config)]
    clip = another_video(clip_seed(settings, 0), size)
    before, after = (error(model, adapter, clip) for adapter in (None, folder / "run" / "lora"))
    weight = sum(file.stat().st_size for file in (folder / "run" / "lora").iterdir())
    tenth = max(1, len(losses) // 10)
    print(
        f"person {number}: mouth region {before:.2f} dB before, {after:.2f} dB after {steps} steps"
        f" (error x {10 ** ((before - after) / 10):.2f}); loss {np.mean(losses[:tenth]):.4f} ->"
        f" {np.mean(losses[-tenth:]):.4f}; the adapter weighs {weight / 1e6:.2f} MB"
    )


def another_video(seed: int, size: int) -> DrawnClip:
    """The same person, who moves and says something else."""
    other = draw_clip(seed + 2_000_002, size, NUM_FRAMES)
    person = draw_clip(seed, size, 12).identity
    poses = draw_motion(seed + 2, np.arange(len(other.mouth)) / other.fps)
    crops = draw_crops(person, poses, other.mouth, size)
    return DrawnClip(person, poses, other.spoken, other.fps, other.first_s, other.mouth, crops)


def error(model: str, adapter: Path | None, clip: DrawnClip) -> float:
    """PSNR of the painted half in dB, with the first frame as the reference."""
    pipe = load_pipeline(model, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = make_scheduler(SAMPLER, pipe.scheduler.config)
    if adapter is not None:
        pipe.unet.load_lora_adapter(str(adapter), prefix=None, use_safetensors=True)
    with torch.no_grad():
        return psnr_db(paint(pipe, STEPS, clip.crops, clip, clip.crops[:1]), clip.crops)


if __name__ == "__main__":
    main()
