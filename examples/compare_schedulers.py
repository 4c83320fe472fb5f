#!/usr/bin/env python3
"""Paints one face crop with several schedulers, side by side.

python examples/compare_schedulers.py diff2lip face_crop.png speech.wav comparison.png
"""

import sys

import PIL.Image
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

from diff2lip_diffusers import load_pipeline
from diff2lip_diffusers.media import read_audio

CHOICES = ((DDIMScheduler, 25), (DPMSolverMultistepScheduler, 8), (UniPCMultistepScheduler, 5))


def main(model: str, face_crop: str, audio: str, output: str) -> None:
    """Writes the crop, and beside it the result of each scheduler from the same noise."""
    pipe = load_pipeline(model)
    waveform, sampling_rate = read_audio(audio)
    crop = PIL.Image.open(face_crop).convert("RGB").resize((pipe.unet.config.sample_size,) * 2)
    images = [crop]
    for scheduler, steps in CHOICES:
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
        generator = torch.Generator().manual_seed(7)
        images += pipe([crop], waveform, sampling_rate, num_inference_steps=steps, generator=generator).frames

    row = PIL.Image.new("RGB", (crop.width * len(images), crop.height))
    for index, image in enumerate(images):
        row.paste(image, (index * crop.width, 0))
    row.save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
