"""The log of a run: a line of means for every so many steps."""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

LOG_NAME = "log.jsonl"


def log_steps(path: Path, records: Sequence, shows: bool, measured: Mapping[str, float] | None = None) -> None:
    """Appends the means of some steps to a log.

    Args:
        path: of the log.
        records: of the steps, in their order, as `StepRecord`.
        shows: whether to write them to the error stream as well.
        measured: what else was measured after the last of them.
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
        file.write(json.dumps({name: float(f"{value:.6g}") for name, value in line.items()}) + "\n")
    if shows:
        words = " ".join(f"{name} {value:.4g}" for name, value in sums.items())
        print(f"step {last.step}: {words}", file=sys.stderr, flush=True)
