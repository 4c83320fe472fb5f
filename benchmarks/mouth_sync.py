#!/usr/bin/env python3
"""Do the lips follow the speech? Measured on drawn people outside the training split, whose true mouths are known.

Each person is lip-synced to the speech of another one. For each sampler, the benchmark prints how the opening of the
generated mouth, measured on the pixels, follows the true curve of the target speech and, as the control, that of the
original speech. Then each person is lip-synced to their own speech, with their first frame as the reference, and
compared with the truth pixel by pixel. A still face in a quiet room shows how much the output flickers.

    python benchmarks/mouth_sync.py [--model FOLDER] [--clips 20] [--frames 50] [--sampler ddim]
"""

import argparse

import numpy as np

from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.evaluation.agreement import Agreement
from diff2lip_diffusers.evaluation.mouth_sync import (
    draw_people,
    measure_flicker,
    measure_ground_truth,
    measure_reconstruction,
    measure_sync,
    mouth_zones,
)
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.schedulers import make_scheduler

SAMPLERS = {"ddim": 25, "dpmsolver++": 8}


def main() -> None:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=str(demo_model_folder()), help="model folder (default: the demo's)")
    parser.add_argument("--clips", type=int, default=20, help="how many people (default: 20)")
    parser.add_argument("--frames", type=int, default=50, help="frames of each (default: 50)")
    parser.add_argument("--sampler", choices=SAMPLERS, action="append", help="only this one (default: both)")
    args = parser.parse_args()
    pipe = load_pipeline(args.model, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    clips = draw_people(args.clips, pipe.unet.config.sample_size, args.frames)
    zones = mouth_zones(clips)
    print(f"{len(clips)} people, {sum(len(clip.mouth) for clip in clips)} frames of {clips[0].crops.shape[-1]} pixels")
    print(f"the measure itself, on true frames: {describe(measure_ground_truth(clips, zones))}")
    schedule = pipe.scheduler.config
    for name in args.sampler or SAMPLERS:
        steps = SAMPLERS[name]
        pipe.scheduler = make_scheduler(name, schedule)
        sync, ratios = measure_sync(pipe, steps, clips, zones), measure_reconstruction(pipe, steps, clips)
        print(f"{name}, {steps} steps")
        print(f"  with the target speech:     {describe(sync.target_speech)}")
        print(f"  with the original speech:   {describe(sync.original_speech)}")
        print(f"  reconstruction: PSNR of the lower half, median {np.median(ratios):.1f} dB, least {min(ratios):.1f}")
        print(f"  flicker of a still face:    {measure_flicker(pipe, steps, clips[0].identity.seed):.2f} levels")


def describe(agreements: list[Agreement]) -> str:
    """Correlations and lags as text."""
    correlations, lags = zip(*((one.correlation, one.lag_frames) for one in agreements), strict=True)
    return (
        f"correlation median {np.median(correlations):.3f}, from {min(correlations):.3f} to {max(correlations):.3f};"
        f" lag median {np.median(lags):g}, from {min(lags)} to {max(lags)} frames"
    )


if __name__ == "__main__":
    main()
