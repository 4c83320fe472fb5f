"""The log of a run: one line of mean values for each group of steps."""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_NAME = "log.jsonl"


def log_steps(path: Path, records: Sequence, shows: bool, measured: Mapping[str, float] | None = None) -> None:
    """Appends the mean values of some steps to a log.

    Args:
        path: the log.
        records: a `StepRecord` for each step, in order.
        shows: whether to print them to the error stream as well.
        measured: values that were measured after the last of these steps.
    """
    sums: dict[str, float] = defaultdict(float)
    for record in records:
        values = record.losses | {"grad_norm": record.grad_norm, "seconds": record.seconds}
        for name, value in values.items():
            sums[name] += value / len(records)
    sums |= measured or {}
    last = records[-1]
    line = {"step": last.step, "learning_rate": last.learning_rate, **sums}
    with path.open("a", encoding="utf-8") as file:
        # JSON has no numbers that are not finite.
        rounded = {name: float(f"{value:.6g}") if math.isfinite(value) else None for name, value in line.items()}
        file.write(json.dumps(rounded) + "\n")
    if shows:
        words = " ".join(f"{name} {value:.4g}" for name, value in sums.items())
        print(f"step {last.step}: {words}", file=sys.stderr, flush=True)
