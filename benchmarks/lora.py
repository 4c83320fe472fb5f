#!/usr/bin/env python3
"""Measures the gain of 100 steps of LoRA on one video of a drawn person that the model was not trained on.

The error of the painted half is measured before and after: in the same video with other speech, which is what such an
adapter is for, and in another video of the person.

    python benchmarks/lora.py [--model FOLDER] [--steps 100] [--people 1]
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from diff2lip_diffusers.corpus.make_corpus import CorpusSettings, clip_seed, make_corpus
from diff2lip_diffusers.corpus.motion import draw_motion
from diff2lip_diffusers.demo.demo_clip import teacher_folder
from diff2lip_diffusers.evaluation.drawn_clips import DrawnClip, draw_clip, draw_crops
from diff2lip_diffusers.evaluation.measures.picture import psnr_db
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.prepare_videos import prepare_videos
from diff2lip_diffusers.schedulers import make_scheduler
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.lora import LoraSettings
from diff2lip_diffusers.training.trainer import train

SAMPLER, STEPS, NUM_FRAMES = "dpmsolver++", 8, 40
BATCH_SIZE, SEED = 16, 7
# The demo's model has little attention; most of its weights are in convolutions.
LAYERS = ("conv1", "conv2", "to_q", "to_k", "to_v", "to_out.0")


def main() -> None:
    """Prints the errors before and after, and the adapter's size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=str(teacher_folder()), help="model folder (default: the demo's teacher)")
    parser.add_argument("--steps", type=int, default=100, help="training steps (default: 100)")
    parser.add_argument("--people", type=int, default=1, help="number of people, one after another (default: 1)")
    args = parser.parse_args()
    for number in range(args.people):
        with tempfile.TemporaryDirectory() as folder:
            measure(args.model, args.steps, number, Path(folder))


def measure(model: str, steps: int, number: int, folder: Path) -> None:
    """Trains and measures on one person."""
    settings = CorpusSettings(seed=77 + number, split="test", size_px=192)
    make_corpus(folder / "corpus", 1, settings)
    size = load_pipeline(model, dtype="fp32").unet.config.sample_size
    prepare_videos(folder / "corpus", folder / "set", PrepareOptions(size_px=size))
    config = TrainConfig(
        data=str(folder / "set"),
        output=str(folder / "run"),
        max_train_steps=steps,
        init_from=model,
        lora=LoraSettings(target_modules=LAYERS),
        losses="simple",
        frames_per_sample=1,
        train_batch_size=8,
        learning_rate=5e-3,
        lr_scheduler="cosine",
        lr_warmup_steps=10,
        ema_decay=0.95,
        extra_mouth_weight=2.0,
        timestep_bias_strategy="range",
        timestep_bias_multiplier=3.5,
        timestep_bias_begin=250,
        timestep_bias_end=850,
        held_out_fraction=0,
        cache="memory",
        validation_steps=0,
        report_to="none",
    )
    for _ in train(config):
        pass
    adapter = folder / "run" / "lora"
    weight = sum(file.stat().st_size for file in adapter.iterdir())
    print(f"person {number}, {steps} steps: the adapter weighs {weight / 1e6:.2f} MB")
    for name, (frames, clip) in tasks(clip_seed(settings, 0), size).items():
        before, after = (psnr(model, one, frames, clip) for one in (None, adapter))
        ratio = 10 ** ((before - after) / 10)
        print(f"  {name}: {before:.2f} dB before, {after:.2f} dB after (squared error x {ratio:.2f})")


def tasks(seed: int, size: int) -> dict[str, tuple[torch.Tensor, DrawnClip]]:
    """Returns, by name, frames to paint and the true clip with the new speech."""
    trained_on, other = draw_clip(seed, size, NUM_FRAMES), draw_clip(seed + 2_000_002, size, NUM_FRAMES)
    count = min(len(trained_on.mouth), len(other.mouth))
    moved = draw_motion(seed + 2, np.arange(count) / other.fps)
    dubbed, elsewhere = (
        replace(
            other,
            identity=trained_on.identity,
            poses=poses,
            mouth=other.mouth[:count],
            crops=draw_crops(trained_on.identity, poses, other.mouth[:count], size),
        )
        for poses in (trained_on.poses[:count], moved)
    )
    return {
        "the same video, other speech": (trained_on.crops[:count], dubbed),
        "another video": (elsewhere.crops, elsewhere),
    }


def psnr(model: str, adapter: Path | None, frames: torch.Tensor, clip: DrawnClip) -> float:
    """Returns the PSNR of the painted half in dB, with the first frame as the reference."""
    pipe = load_pipeline(model, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = make_scheduler(SAMPLER, pipe.scheduler.config)
    if adapter is not None:
        pipe.load_lora_weights(adapter)
    samples = clip.spoken.samples[round(clip.first_s * clip.spoken.sampling_rate) :]
    painted = pipe(
        frames,
        audio=samples,
        sampling_rate=clip.spoken.sampling_rate,
        reference_frames=frames[:1],
        fps=clip.fps,
        num_inference_steps=STEPS,
        generator=torch.Generator().manual_seed(SEED),
        batch_size=BATCH_SIZE,
        output_type="pt",
    ).frames
    half = painted.shape[-1] // 2
    error = (painted[:, :, half:] - clip.crops[:, :, half:]).square().mean().item()
    return psnr_db(255**2 * error)


if __name__ == "__main__":
    main()
