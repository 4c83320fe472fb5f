#!/usr/bin/env python3
"""Measures how a batch scales with the number of processes, and how long they are idle.

Runs a list with each number of processes, one after another, each into its own folder, and prints a row for each.
Ratios refer to the first number. Each process samples in one thread. "Idle" is the part of the time, from the start of
the first pair to the end of the last one, in which a process had no pair; the table shows the worst process.

    python benchmarks/batch.py pairs.txt --model tiny --processes 1 2 4
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path


def main() -> None:
    """Measures each number of processes and prints the table."""
    args = parse_args()
    print("| processes | wall time | of the first | pairs a minute | idle |\n|---|---|---|---|---|")
    first_s = None
    for count in args.processes:
        with tempfile.TemporaryDirectory() as folder:
            wall_s = run(count, args, folder)
            records = [json.loads(line) for line in (Path(folder) / "results.jsonl").read_text().splitlines()]
        first_s = first_s or wall_s
        rate = 60 * len(records) / wall_s
        idle = max(idle_parts(records))
        print(f"| {count} | {wall_s:.0f} s | {wall_s / first_s:.2f} | {rate:.1f} | {idle:.1%} |", flush=True)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", help="list of pairs")
    parser.add_argument("--model", required=True, help="model folder or repository")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--dtype", default="fp32")
    return parser.parse_args()


def run(count: int, args: argparse.Namespace, folder: str) -> float:
    """Runs a batch with `count` processes; returns the seconds that it takes."""
    launch = [
        str(Path(sys.executable).with_name("accelerate")),
        "launch",
        "--multi_gpu",
        "--num_processes",
        str(count),
    ]
    command = [*(launch if count > 1 else [sys.executable]), "-m", "diff2lip_diffusers", "batch", args.pairs]
    chosen = ["--output-dir", folder, "--model", args.model, "--steps", str(args.steps), "--dtype", args.dtype]
    start_s = time.perf_counter()
    subprocess.run([*command, *chosen], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_s


def idle_parts(records: list[dict]) -> list[float]:
    """The part of the time without a pair, for each process."""
    start_s = min(record["started_s"] for record in records)
    total_s = max(record["ended_s"] for record in records) - start_s
    spans = defaultdict(list)
    for record in records:
        spans[record["process"]].append((record["started_s"], record["ended_s"]))
    return [1 - covered_s(of_process) / total_s for of_process in spans.values()]


def covered_s(spans: list[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of the spans."""
    covered, end_s = 0.0, float("-inf")
    for start_s, stop_s in sorted(spans):
        covered += max(0.0, stop_s - max(start_s, end_s))
        end_s = max(end_s, stop_s)
    return covered


if __name__ == "__main__":
    main()
