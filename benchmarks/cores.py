#!/usr/bin/env python3
"""Measures what the CPU does around the model, in seconds of CPU a frame; calculates what so many cores carry.

A clip is scaled to --size x --size pixels first. CPU seconds count all threads, so other work on the machine matters
little. A job's own share is all but the calls of the pipeline; the detector is the difference between a job that
searches the face and one that is told where it is.

    python benchmarks/cores.py --video face.mp4 --audio speech.wav --size 512 --fps 200 --cores 16
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from diff2lip_diffusers import Diff2LipPipeline, load_pipeline, sync_video
from diff2lip_diffusers.media.reader import read_frames, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

FPS = Fraction(25)


class CountedPipeline(Diff2LipPipeline):
    """A pipeline that counts the CPU seconds of its calls; with one thread of torch, they are those of the caller."""

    spent_s = 0.0

    def __call__(self, *args, **kwargs):
        start_s = time.thread_time()
        try:
            return super().__call__(*args, **kwargs)
        finally:
            type(self).spent_s += time.thread_time() - start_s


def main() -> None:
    """Measures and prints the table."""
    args = parse_args()
    torch.set_num_threads(1)
    loaded = load_pipeline(args.model, "cpu", "fp32")
    pipe = CountedPipeline(**loaded.components, painted_fraction=loaded.config["painted_fraction"])
    with tempfile.TemporaryDirectory() as folder:
        clip, out = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        box = tuple(round(share * args.size) for share in (0.3, 0.3, 0.7, 0.8))
        write(clip, islice(scaled(args.video, args.size), args.frames), args.size)
        frames = list(read_frames(clip, FPS))
        rows = {
            "decode (H.264)": cpu_s(lambda: sum(1 for _ in read_frames(clip, FPS))),
            "encode (x264, default)": cpu_s(lambda: write(out, frames, args.size)),
        }
        one_step: dict[str, Any] = {"num_inference_steps": 1, "length": "video"}
        told_s = cpu_s(lambda: sync_video(pipe, clip, args.audio, out, box=box, **one_step))
        searched_s = cpu_s(lambda: sync_video(pipe, clip, args.audio, out, **one_step))
        rows["crop, paste and the rest"] = told_s - sum(rows.values())
        rows["detector"] = searched_s - told_s
    report({name: seconds / len(frames) for name, seconds in rows.items()}, args)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="model folder; a small one is enough")
    parser.add_argument("--video", required=True, help="video of a face")
    parser.add_argument("--audio", required=True, help="speech")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--fps", type=float, default=200, help="frames a second to be carried")
    parser.add_argument("--cores", type=int, default=16)
    return parser.parse_args()


def scaled(video: str, size: int) -> Iterator[np.ndarray]:
    """The middle square of each frame, scaled."""
    for frame in read_rgb(video, FPS):
        side = min(frame.shape[:2])
        top, left = ((length - side) // 2 for length in frame.shape[:2])
        square = Image.fromarray(frame[top : top + side, left : left + side])
        yield np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def write(path: Path, frames, size: int) -> None:
    """Encodes frames as a job does by default."""
    with VideoWriter(path, width=size, height=size, fps=FPS) as writer:
        for frame in frames:
            writer.write(frame)


def cpu_s(run: Callable[[], object]) -> float:
    """CPU seconds of all threads, without those of the pipeline's calls; the better of two runs."""
    found = []
    for _ in range(2):
        start_s, spent_s = time.process_time(), CountedPipeline.spent_s
        run()
        found.append(time.process_time() - start_s - (CountedPipeline.spent_s - spent_s))
    return min(found)


def report(each_s: dict[str, float], args: argparse.Namespace) -> None:
    """Prints the table, and what the cores carry."""
    print(f"| a frame | ms of CPU | cores for {args.fps:.0f} frames a second |\n|---|---|---|")
    for name, seconds in each_s.items():
        print(f"| {name} | {1000 * seconds:.1f} | {seconds * args.fps:.1f} |")
    total_s = sum(each_s.values())
    print(f"| together | {1000 * total_s:.1f} | {total_s * args.fps:.1f} |")
    print(f"\n{args.cores} cores carry {args.cores / total_s:.0f} frames a second")


if __name__ == "__main__":
    main()
