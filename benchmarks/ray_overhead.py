#!/usr/bin/env python3
"""Measures what the Ray engine adds to a pair: paired runs of many short pairs, by processes and by Ray.

Both engines have one worker with one thread. The time of a run is that from the start of its first pair to the end of
its last one, so that the start of Ray and the loading of libraries do not count; it is printed besides. The rounds
alternate which engine comes first. CPU seconds are those of the worker and all that serves it.

    python benchmarks/ray_overhead.py --model tiny --video face.mp4 --audio speech.wav --pairs 200 --rounds 3
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import torch

from diff2lip_diffusers import Pair, RayCluster, load_pipeline, sync_batch


def main() -> None:
    """Measures all rounds and prints a row for each."""
    args = parse_args()
    torch.set_num_threads(1)
    pipe = load_pipeline(args.model, "cpu", "fp32")
    pairs = [Pair(Path(args.video), Path(args.audio), f"{index:05d}.mp4") for index in range(args.pairs)]
    print("| round | engine | start | s a pair | s of CPU a pair |\n|---|---|---|---|---|")
    differences, ratios, cpu = list[float](), list[float](), list[float]()
    for number in range(args.rounds):
        found = {}
        for engine in ("processes", "ray")[:: 1 if number % 2 else -1]:
            start_s, each_s, cpu_s = found[engine] = run(pipe, pairs, engine, args)
            print(f"| {number} | {engine} | {start_s:.1f} s | {each_s:.4f} | {cpu_s:.4f} |", flush=True)
        differences.append(found["ray"][1] - found["processes"][1])
        ratios.append(found["ray"][1] / found["processes"][1])
        cpu.append(found["ray"][2] - found["processes"][2])
    print(f"\nRay adds {1000 * statistics.median(differences):.1f} ms a pair, {statistics.median(ratios) - 1:.1%},")
    print(f"and {1000 * statistics.median(cpu):.1f} ms of CPU a pair, its start included (medians)")


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="model folder")
    parser.add_argument("--video", required=True, help="short video of a face")
    parser.add_argument("--audio", required=True, help="speech")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--box", type=int, nargs=4, default=(20, 20, 150, 150), help="of the face")
    return parser.parse_args()


def run(pipe, pairs: list[Pair], engine: str, args: argparse.Namespace) -> tuple[float, float, float]:
    """Seconds until the first pair starts, seconds a pair, and seconds of CPU a pair."""
    cluster = RayCluster(max_workers=1) if engine == "ray" else None
    with tempfile.TemporaryDirectory() as folder:
        begun_s, begun_cpu_s, peak_cpu_s = time.time(), cpu_seconds(), [0.0]

        def look(*_: int) -> None:
            peak_cpu_s[0] = max(peak_cpu_s[0], cpu_seconds())

        options = {"num_inference_steps": 1, "box": tuple(args.box), "on_progress": look}
        result = sync_batch(pipe, pairs, folder, engine=engine, cluster=cluster, **options)
        assert result.num_done == len(pairs), result.failures[:1]
        records = [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]
    first_s, last_s = min(one["started_s"] for one in records), max(one["ended_s"] for one in records)
    each_cpu_s = (max(peak_cpu_s[0], cpu_seconds()) - begun_cpu_s) / len(pairs)
    return first_s - begun_s, (last_s - first_s) / len(pairs), each_cpu_s


def cpu_seconds() -> float:
    """Seconds of CPU of this process and all below it."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
            total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
