"""How far a batch is, for whoever looks at its folder."""

import time
from dataclasses import dataclass
from pathlib import Path

from .folder import BatchFolder
from .heartbeat import Heartbeat
from .journal import Journal
from .leases import Leases
from .split_clip import output_of
from .work_queue import DONE, FAILED, by_time


@dataclass(frozen=True)
class BatchStatus:
    """How far the run is that was started last in a folder.

    Args:
        num_pairs: all of them.
        num_done: whose output was made.
        num_failed: which failed the last time they were tried.
        at_work: outputs in the making, each with the `id` of the process.
        pairs_per_minute: done since the start of the run; None as long as there is none.
        left_s: about how long the rest takes, by the size of the files; None where that is not known.
        failures: the records of those that failed.
    """

    num_pairs: int
    num_done: int
    num_failed: int
    at_work: dict[str, str]
    pairs_per_minute: float | None
    left_s: float | None
    failures: list[dict]


def batch_status(output_dir: str | Path) -> BatchStatus:
    """Looks at a folder of a batch, also while it is at work.

    Raises:
        MediaError: if there is no batch in it, or it cannot be read or written.
    """
    folder = BatchFolder(output_dir)
    plan = folder.read_plan(folder.last_run())
    with Heartbeat(folder.state) as process:
        held = {output_of(key): holder for key, holder in Leases(folder.state, process).held().items()}
    held = {output: holder for output, holder in held.items() if output in plan.sizes}
    records = by_time(Journal(folder.state, None).refresh())
    at_rest = plan.sizes.keys() - held.keys()
    last = {record["output"]: record for record in records if record["output"] in at_rest}
    done = [output for output, record in last.items() if record["status"] == DONE]
    in_run = [output for output in done if last[output]["ended_s"] > plan.started_s]
    ran_s = (time.time() if held else max((last[output]["ended_s"] for output in in_run), default=0)) - plan.started_s
    left = sum(plan.sizes.values()) - sum(plan.sizes[output] for output in last)
    moved = sum(plan.sizes[output] for output in in_run)
    return BatchStatus(
        num_pairs=len(plan.sizes),
        num_done=len(done),
        num_failed=len(last) - len(done),
        at_work=held,
        pairs_per_minute=60 * len(in_run) / ran_s if in_run else None,
        left_s=ran_s * left / moved if moved else None,
        failures=[record for record in last.values() if record["status"] == FAILED],
    )
