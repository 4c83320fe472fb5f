"""Progress of a batch, read from its folder."""

import time
from dataclasses import dataclass
from pathlib import Path

from ..stores.remote_files import RemoteFiles
from ..stores.urls import located
from .in_store.open_batch import open_batch
from .pair_records import DONE, FAILED, output_of, sort_by_time


@dataclass(frozen=True)
class BatchStatus:
    """Progress of the last run in a folder.

    Args:
        num_pairs: number of pairs in the run.
        num_done: pairs whose output was made.
        num_failed: pairs whose last try failed.
        at_work: outputs that a live process works on, each with the `id` of that process.
        pairs_per_minute: pairs done since the start of the run, a minute; None if there is none yet.
        left_s: estimated seconds for the rest, by the size of the files; None if unknown.
        failures: the records of the pairs that failed.
    """

    num_pairs: int
    num_done: int
    num_failed: int
    at_work: dict[str, str]
    pairs_per_minute: float | None
    left_s: float | None
    failures: list[dict]


def batch_status(output_dir: str | Path) -> BatchStatus:
    """Reads the progress of a batch, also while it runs.

    Args:
        output_dir: folder of the batch's outputs.

    Raises:
        MediaError: if the folder holds no batch, or cannot be read or written.
    """
    folder = open_batch(located(output_dir), RemoteFiles())
    plan = folder.read_plan(folder.last_run())
    with folder.heartbeat() as process:
        held = {output_of(key): holder for key, holder in folder.leases(process).held().items()}
    held = {output: holder for output, holder in held.items() if output in plan.sizes}
    records = [r for r in sort_by_time(folder.journal(None).read_new()) if r["status"] in (DONE, FAILED)]
    idle = plan.sizes.keys() - held.keys()
    last = {record["output"]: record for record in records if record["output"] in idle}
    done = [output for output, record in last.items() if record["status"] == DONE]
    in_run = [output for output in done if last[output]["ended_s"] > plan.started_s]
    ran_s = (time.time() if held else max((last[output]["ended_s"] for output in in_run), default=0)) - plan.started_s
    left_bytes = sum(plan.sizes.values()) - sum(plan.sizes[output] for output in last)
    done_bytes = sum(plan.sizes[output] for output in in_run)
    return BatchStatus(
        num_pairs=len(plan.sizes),
        num_done=len(done),
        num_failed=len(last) - len(done),
        at_work=held,
        pairs_per_minute=60 * len(in_run) / ran_s if in_run else None,
        left_s=ran_s * left_bytes / done_bytes if done_bytes else None,
        failures=[record for record in last.values() if record["status"] == FAILED],
    )
