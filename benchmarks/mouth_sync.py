"""Do the lips follow the speech? Drawn people that nobody trained on, for whom the true mouth is known.

Each of them is given the speech of another one. Printed for each scheduler: how the painted mouth's opening, read off
the pixels, follows the true curve of the speech that was given (correlation, lag), and, as the control, the curve of
the speech that the person really said and that was taken away. Then each is given its own speech back, with another
frame as the reference, and compared with the truth pixel by pixel; and a face that holds still and says nothing tells
how much the painting flickers.

    python benchmarks/mouth_sync.py [--model FOLDER] [--clips 20] [--frames 50]
"""

import argparse

import numpy as np
import torch

from diff2lip_diffusers.corpus.identity import draw_identity
from diff2lip_diffusers.corpus.motion import draw_motion
from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.metrics.agreement import agreement
from diff2lip_diffusers.metrics.drawn_clips import DrawnClip, draw_clip, draw_crops
from diff2lip_diffusers.metrics.mouth_opening import mouth_opening, opening_zones
from diff2lip_diffusers.schedulers import make_scheduler

SAMPLERS = (("ddim", 25), ("dpmsolver++", 8))
FIRST_SEED, BATCH_SIZE, SAMPLING_RATE = 900_001, 16, 16000
QUIET = 1e-4  # of full scale: a room in which nobody speaks


def main() -> None:
    """Prints the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default=str(demo_model_folder()), help="model folder (default: the demo's)")
    parser.add_argument("--clips", type=int, default=20, help="how many people (default: 20)")
    parser.add_argument("--frames", type=int, default=50, help="frames of each (default: 50)")
    args = parser.parse_args()
    pipe = load_pipeline(args.model, dtype="fp32")
    pipe.set_progress_bar_config(disable=True)
    size = pipe.unet.config.sample_size
    clips = [draw_clip(FIRST_SEED + 2 * index, size, args.frames) for index in range(args.clips)]
    zones = [opening_zones(clip.identity, clip.poses, size) for clip in clips]
    true = [
        agreement(mouth_opening(clip.crops, zone, clip.identity), clip.mouth[:, 0])
        for clip, zone in zip(clips, zones, strict=True)
    ]
    print(f"{len(clips)} people, {sum(len(clip.mouth) for clip in clips)} frames of {size} pixels")
    print(f"the measure itself, on true frames: median correlation {_median(true):.3f}")
    base = pipe.scheduler.config
    for name, steps in SAMPLERS:
        pipe.scheduler = make_scheduler(name, base)
        _print_sync(pipe, name, steps, clips, zones)
    for name, steps in SAMPLERS:
        pipe.scheduler = make_scheduler(name, base)
        _print_reconstruction(pipe, name, steps, clips)
        print(f"{name} {steps}: flicker on a still silence {_flicker(pipe, steps, size):.2f} levels a frame")


def _print_sync(pipe, name: str, steps: int, clips: list[DrawnClip], zones: list[torch.Tensor]) -> None:
    given, taken = [], []
    for index, (clip, zone) in enumerate(zip(clips, zones, strict=True)):
        other = clips[(index + 1) % len(clips)]
        count = min(len(clip.mouth), len(other.mouth))
        painted = _paint(pipe, steps, clip.crops[:count], other, clip.crops[:count])
        curve = mouth_opening(painted, zone[:count], clip.identity)
        given.append(agreement(curve, other.mouth[:count, 0]))
        taken.append(agreement(curve, clip.mouth[:count, 0]))
    lags = [one.lag_frames for one in given]
    print(
        f"{name} {steps}: correlation with the given speech, median {_median(given):.3f},"
        f" lowest {min(one.correlation for one in given):.3f}; with the one taken away, median {_median(taken):.3f};"
        f" lag, median {np.median(lags):.0f}, from {min(lags)} to {max(lags)} frames"
    )


def _print_reconstruction(pipe, name: str, steps: int, clips: list[DrawnClip]) -> None:
    ratios = []
    for clip in clips:
        painted = _paint(pipe, steps, clip.crops, clip, clip.crops[:1])
        half = painted.shape[-1] // 2
        error = (painted[:, :, half:] - clip.crops[:, :, half:]).square().mean().item()
        ratios.append(-10 * np.log10(error))
    print(
        f"{name} {steps}: reconstruction with the first frame as reference, PSNR of the painted half, median"
        f" {np.median(ratios):.1f} dB, lowest {min(ratios):.1f} dB"
    )


def _flicker(pipe, steps: int, size: int, num_frames: int = 16) -> float:
    """Mean difference from frame to frame in the painted half, in levels of 255, of a head at rest in a quiet room."""
    identity = draw_identity(FIRST_SEED)
    poses = draw_motion(FIRST_SEED, np.arange(num_frames) / 25, liveliness=0)
    crops = draw_crops(identity, poses, np.tile([0.0, 0.5, 0.05, 0.0, 0.0, 0.0], (num_frames, 1)), size)
    noise = QUIET * np.random.default_rng(0).standard_normal(SAMPLING_RATE).astype(np.float32)
    painted = _sample(pipe, steps, crops, noise, crops)
    return (255 * painted[:, :, size // 2 :].diff(dim=0).abs().mean()).item()


def _paint(pipe, steps: int, crops: torch.Tensor, speaker: DrawnClip, references: torch.Tensor) -> torch.Tensor:
    """The crops with the speech of a clip, from where its own frames begin."""
    samples = speaker.spoken.samples[round(speaker.first_s * SAMPLING_RATE) :]
    return _sample(pipe, steps, crops, samples, references)


def _sample(pipe, steps: int, crops: torch.Tensor, samples: np.ndarray, references: torch.Tensor) -> torch.Tensor:
    return pipe(
        crops,
        audio=samples,
        sampling_rate=SAMPLING_RATE,
        reference_frames=references,
        fps=25,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(7),
        batch_size=BATCH_SIZE,
        output_type="pt",
    ).frames


def _median(agreements: list) -> float:
    return float(np.median([one.correlation for one in agreements]))


if __name__ == "__main__":
    main()
