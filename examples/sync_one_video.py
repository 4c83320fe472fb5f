#!/usr/bin/env python3
"""Lip-syncs one video from Python, with a progress line.

python examples/sync_one_video.py diff2lip face.mp4 speech.wav out.mp4
"""

import sys

from diffusers import DPMSolverMultistepScheduler

from diff2lip_diffusers import load_pipeline, sync_video


def main(model: str, video: str, audio: str, output: str) -> None:
    """Runs eight steps of DPM-Solver++ with the fastest settings for this machine."""
    pipe = load_pipeline(model)
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)

    def show(done: int, expected: int | None) -> None:
        print(f"\r{done} of about {expected} frames", end="", file=sys.stderr, flush=True)

    result = sync_video(pipe, video, audio, output, num_inference_steps=8, on_progress=show)
    print(f"\n{result.output}: {result.num_frames} frames at {float(result.fps):g} per second")


if __name__ == "__main__":
    main(*sys.argv[1:])
