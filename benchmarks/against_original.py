#!/usr/bin/env python3
"""Measures what a frame costs with the released size, beside the original program: time, memory, and where it goes.

The original's own number was recorded once: seconds a frame and step in fp32, contiguous, batch 4, on two cores of a
Zen 5, where ours in the same precision and layout took 1.06 times as long. That variant of ours is the ruler here.
What the original would take on this machine follows from it, and each variant is compared with that.

Variants take turns, round after round, in one process. On a CPU, seconds of CPU are measured beside seconds of wall
time, as they hold on a machine that others use. On CUDA, the matmul limit of the device is measured as well.

    python make_original_checkpoint.py released released.pt      # or the authors' checkpoint
    python benchmarks/against_original.py --checkpoint released.pt --video face.mp4 --audio speech.wav --json cost.json
"""

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from diff2lip_diffusers import (
    Diff2LipPipeline,
    Diff2LipUNet2DConditionModel,
    convert_checkpoint,
    load_pipeline,
    sync_video,
)
from diff2lip_diffusers.hub import compile_pipeline, default_device
from diff2lip_diffusers.media.reader import read_audio

# Recorded on the machine named above.
ORIGINAL_S, OURS_TO_ORIGINAL = 0.73, 1.06
MATMUL_SIZE = 8192
STEPS = (25, 8, 4, 1)
FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


@dataclass(frozen=True)
class Variant:
    """A way to run the U-Net; the first one is the ruler."""

    dtype: str
    memory_format: str
    compiled: bool = False

    def __str__(self) -> str:
        return f"{self.dtype}, {self.memory_format}{', compiled' if self.compiled else ''}"


RULER = Variant("fp32", "contiguous")


def main() -> None:
    """Measures, prints the tables and writes the numbers."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or Path(folder) / "model"
        if args.model is None:
            convert_checkpoint(args.checkpoint, model)
        found: dict[str, Any] = {"machine": machine(args.device, args.threads), "steps": steps_of(model, args)}
        show_steps(found["steps"])
        found["pipeline"] = [pipeline_of(model, steps, args) for steps in args.steps]
        show_pipeline(found["pipeline"])
        if args.video:
            found["end_to_end"] = [end_to_end(model, steps, args, Path(folder)) for steps in args.steps]
            show_end_to_end(found["end_to_end"])
    if args.device.startswith("cuda"):
        found["matmul"] = matmul_limit(found["steps"], args)
        print(json.dumps(found["matmul"], indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--checkpoint", help="checkpoint in the authors' layout, released size")
    source.add_argument("--model", type=Path, help="a model folder, to see the cost of other weights")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--compile", action="store_true", help="measure torch.compile as well; it takes minutes")
    parser.add_argument("--frames", type=int, default=8, help="frames of the end-to-end job")
    parser.add_argument("--video", help="a face, 1080p, for the end-to-end job; without it, there is none")
    parser.add_argument("--audio", help="speech for it; by default that of the video")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


def machine(device: str, threads: int) -> dict[str, Any]:
    """What the numbers were measured on."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if line.startswith("model name")]
    load = Path("/proc/loadavg").read_text().split()[0]
    found = {"device": device, "name": name, "cpu": models[0] if models else name, "threads": threads}
    return found | {"load": float(load), "torch": torch.__version__}


def steps_of(model: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds a frame and step of each variant, and its ratios to the ruler and the original."""
    fast = "fp16" if args.device.startswith("cuda") else "bf16"
    variants = [RULER, Variant("fp32", "channels last"), Variant(fast, "contiguous"), Variant(fast, "channels last")]
    if args.compile:
        variants.append(Variant(fast, "channels last", True))
    runs = {variant: prepared(model, variant, args) for variant in variants}
    taken: dict[Variant, list[tuple[float, float]]] = {variant: [] for variant in variants}
    for _ in range(args.rounds):
        for variant, run in runs.items():
            taken[variant].append(timed(run, args.device))
    ruler = taken[RULER]
    rows = []
    for variant, times in taken.items():
        ratio = statistics.median(one[1] / own[1] for one, own in zip(ruler, times, strict=True))
        wall_s, cpu_s = (statistics.median(one[index] for one in times) / args.batch_size for index in (0, 1))
        row = {"variant": str(variant), "wall_s": wall_s, "cpu_s": cpu_s, "times_as_fast_as_ruler": ratio}
        rows.append(row | {"times_as_fast_as_original": ratio / OURS_TO_ORIGINAL})
    return rows


def prepared(model: Path, variant: Variant, args: argparse.Namespace) -> Callable[[], None]:
    """A warmed-up function that runs one step on one batch."""
    pipe = load_pipeline(str(model), args.device, variant.dtype)
    unet = pipe.unet.to(memory_format=FORMATS[variant.memory_format])
    if variant.compiled:
        compile_pipeline(pipe)
    size, embeds = unet.config.sample_size, unet.config.time_embedding_dim
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, args.batch_size, 3, size, size, generator=generator).to(args.device)
    audio_embeds = torch.randn(args.batch_size, embeds, generator=generator).to(args.device)
    mask = pipe.painted_mask(args.device).float()

    @torch.inference_mode()
    def run() -> None:
        unet(images[0], 500, images[1], images[2], mask, audio_embeds)

    run()
    return run


def timed(run: Callable[[], Any], device: str) -> tuple[float, float]:
    """Seconds of wall time and of CPU that a call takes; on CUDA, both are wall time."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
        took_s = time.perf_counter() - wall_s
        return took_s, took_s
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


@contextmanager
def timing_unet(pipe: Diff2LipPipeline, device: str) -> Iterator[list[float]]:
    """Inside the block, collects the CPU seconds of each pass of the U-Net; wall time on CUDA."""
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    starts, seconds = list[float](), list[float]()

    def begin(*_: Any) -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        starts.append(clock())

    def end(*_: Any) -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append(clock() - starts[-1])

    hooks = pipe.unet.register_forward_pre_hook(begin), pipe.unet.register_forward_hook(end)
    try:
        yield seconds
    finally:
        for hook in hooks:
            hook.remove()


def pipeline_of(model: Path, steps: int, args: argparse.Namespace) -> dict[str, Any]:
    """What a frame costs in a call of the pipeline, by default precision, and the share outside the U-Net."""
    pipe = load_pipeline(str(model), args.device)
    pipe.set_progress_bar_config(disable=True)
    size, extractor = pipe.unet.config.sample_size, pipe.feature_extractor
    frames = torch.rand(args.batch_size, 3, size, size, generator=torch.Generator().manual_seed(0))
    windows = torch.zeros(args.batch_size, extractor.feature_size, extractor.window_size)

    def call() -> None:
        pipe(frames, mel_windows=windows, num_inference_steps=steps, output_type="np")

    with timing_unet(pipe, args.device) as unet_s:
        wall_s, cpu_s = timed(call, args.device)
    row = {"steps": steps, "wall_s": wall_s / args.batch_size, "cpu_s": cpu_s / args.batch_size}
    return row | {"outside_unet": 1 - sum(unet_s) / cpu_s}


def end_to_end(model: Path, steps: int, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What a frame costs from file to file."""
    pipe = load_pipeline(str(model), args.device)
    samples, rate = read_audio(args.audio or args.video)
    speech = samples[: round(args.frames / 25 * rate)], rate

    def call() -> Any:
        output = folder / f"{steps}.mp4"
        return sync_video(pipe, args.video, speech, output, length="audio", num_inference_steps=steps)

    with timing_unet(pipe, args.device) as unet_s:
        wall_s, cpu_s = timed(call, args.device)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    row = {"steps": steps, "frames": args.frames, "wall_s": wall_s / args.frames, "cpu_s": cpu_s / args.frames}
    return row | {"outside_unet": 1 - sum(unet_s) / cpu_s, "peak_mb": peak_mb}


def matmul_limit(rows: list[dict[str, Any]], args: argparse.Namespace) -> dict[str, float]:
    """Frames a second and step, measured, and as the device's measured matmul limit would allow. CUDA only."""
    matrix = torch.randn(MATMUL_SIZE, MATMUL_SIZE, device=args.device, dtype=torch.float16)
    timed(lambda: matrix @ matrix, args.device)
    seconds = statistics.median(timed(lambda: matrix @ matrix, args.device)[0] for _ in range(10))
    limit = 2 * MATMUL_SIZE**3 / seconds
    per_frame = flops_of()
    best_s = min(row["wall_s"] for row in rows)
    measured = {"matmul_tflops": limit / 1e12, "gflops_per_frame_and_step": per_frame / 1e9}
    return measured | {"frames_per_s": 1 / best_s, "limit_frames_per_s": limit / per_frame}


def flops_of() -> float:
    """Floating-point operations of the released U-Net for a frame and step."""
    unet = Diff2LipUNet2DConditionModel().eval()
    images, mask = torch.zeros(3, 1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        unet(images[0], 500, images[1], images[2], mask, torch.zeros(1, 512))
    return float(counter.get_total_flops())


def show_steps(rows: list[dict[str, Any]]) -> None:
    """Prints the table of variants."""
    print(
        "| U-Net | s a frame and step | s of CPU | times as fast as fp32 contiguous | as the original |\n"
        + "|---" * 5
        + "|"
    )
    for row in rows:
        ratios = f"{row['times_as_fast_as_ruler']:.2f} | {row['times_as_fast_as_original']:.2f}"
        print(f"| {row['variant']} | {row['wall_s']:.3f} | {row['cpu_s']:.3f} | {ratios} |", flush=True)


def show_pipeline(rows: list[dict[str, Any]]) -> None:
    """Prints the table of calls of the pipeline."""
    print("\n| pipeline, steps | s a frame | s of CPU | outside the U-Net |\n" + "|---" * 4 + "|")
    for row in rows:
        print(f"| {row['steps']} | {row['wall_s']:.3f} | {row['cpu_s']:.3f} | {row['outside_unet']:.1%} |", flush=True)


def show_end_to_end(rows: list[dict[str, Any]]) -> None:
    """Prints the table of whole jobs."""
    print("\n| file to file, steps | s a frame | s of CPU | outside the U-Net | peak memory |\n" + "|---" * 5 + "|")
    for row in rows:
        costs = f"{row['wall_s']:.3f} | {row['cpu_s']:.3f} | {row['outside_unet']:.1%} | {row['peak_mb']:.0f} MB"
        print(f"| {row['steps']} | {costs} |", flush=True)


if __name__ == "__main__":
    main()
