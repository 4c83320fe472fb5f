"""How a run of a batch begins and ends: joining the folder, the plan of the run, checks of earlier outputs."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ..errors import MediaError, StoppedError
from ..lipsync.options import SyncOptions
from ..stores.remote_files import RemoteFiles
from .folder import BatchFolder, BatchPlan
from .heartbeat import Heartbeat
from .journal import Journal
from .leases import Leases
from .output_checks import remove_undecodable
from .pair_files import describe_first_missing, inspect_files, missing_files
from .pair_records import DIED, DONE, STEP_MARK, output_of
from .pairs import Pair
from .process_group import ProcessGroup
from .records import BatchRecords, check_same_settings
from .work_queue import WorkQueue

logger = logging.getLogger(__name__)

# The key of the lease on the whole folder. It belongs to no output.
ALONE = f"{STEP_MARK}alone"
# The main process sends this in place of the number of a run if it failed.
NO_RUN = 0
# How often a process looks for the plan of the next window.
WINDOW_WAIT_S = 1.0


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch.

    Args:
        num_done: pairs whose output is complete.
        num_failed: pairs that failed for good.
        failures: the records of the failed pairs, as in `results.jsonl`.
    """

    num_done: int
    num_failed: int
    failures: list[dict]


def options_by_output(pairs: Iterable[Pair], options: Mapping[str, Any]) -> dict[str, SyncOptions]:
    """The options of each pair, by output; pairs with equal options share one object."""
    by_output, known = {}, {}
    for pair in pairs:
        own = repr(sorted(pair.options.items()))
        try:
            if own not in known:
                known[own] = SyncOptions(**{**options, **pair.options})
        except ValueError as error:
            place = pair.output if pair.line is None else f"line {pair.line}"
            raise ValueError(f"{place}: {error}") from error
        by_output[pair.output] = known[own]
    return by_output


@contextmanager
def joined(folder: BatchFolder, alone: bool = False) -> Iterator[tuple[Heartbeat, Leases]]:
    """Gives this process's heartbeat in the folder, and its leases; removes what dead processes left.

    At the end, it removes what is this process's.

    Args:
        folder: of the batch.
        alone: whether no other process may work on the folder, as another one is in charge of the work.

    Raises:
        MediaError: if this process or another one must be alone there and is not, or the folder cannot be written.
    """
    with folder.working(), folder.heartbeat() as heartbeat:
        leases = folder.leases(heartbeat)
        _check_alone(folder, heartbeat, leases, alone)
        killed = heartbeat.forget_dead()
        leases.remove_partial(killed)
        _record_deaths(folder.journal(heartbeat.id), leases.keys_of(killed))
        folder.discard_leftovers(heartbeat.is_alive)
        try:
            yield heartbeat, leases
        finally:
            folder.discard_work_of(heartbeat.id)
            if alone:
                leases.release(ALONE)
                folder.discard_leftovers(heartbeat.is_alive)


def _check_alone(folder: BatchFolder, heartbeat: Heartbeat, leases: Leases, alone: bool) -> None:
    """Takes the folder for this process alone if it must be; raises MediaError if another process is in the way."""
    cure = "wait until it ends; if it was killed on another machine, for three minutes"
    if leases.held().get(ALONE) or (alone and not leases.take(ALONE)):
        raise MediaError(str(folder.output_dir), f"a run on Ray works there; {cure}")
    if alone and heartbeat.others_alive():
        leases.release(ALONE)
        raise MediaError(str(folder.output_dir), f"another run works there, and a run on Ray must be alone; {cure}")


def _record_deaths(journal: Journal, keys: Mapping[str, set[str]]) -> None:
    """Records which pairs processes had in hand when they were killed, by the `id` of the process."""
    for process_id, held in sorted(keys.items()):
        outputs = {output_of(key) for key in held} - {""}
        death = {"status": DIED, "process": process_id, "num_suspects": len(outputs), "ended_s": round(time.time(), 3)}
        for output in sorted(outputs):
            journal.append({"output": output, **death})


@dataclass(frozen=True)
class JoinedBatch:
    """All that one process needs to start a run."""

    pairs: list[Pair]
    options: dict[str, SyncOptions]
    group: ProcessGroup
    folder: BatchFolder
    process_id: str
    leases: Leases
    records: BatchRecords
    files: RemoteFiles
    retry_failed: bool

    def queue_of(self, plan: BatchPlan) -> WorkQueue:
        """The work queue of a run, with all that was done before."""
        return WorkQueue(
            self.pairs,
            plan.sizes,
            self.folder.intact,
            self.leases,
            self.folder.journal(self.process_id, None if self.group.is_main else self.options),
            plan.tries,
            forgiven=plan.forgiven,
            keep_done=self.group.is_main,
        )


def agreed_queue(batch: JoinedBatch, window: int, tries: int, verify: bool) -> WorkQueue:
    """The queue of a run on which all processes agree: the main one plans it.

    Raises:
        StoppedError: if the main process has ended.
    """
    group = batch.group
    if window == 0:
        return _first_queue(batch, tries, verify)
    # A process that replaced a dead one hears nothing new from the main process. So they agree through the folder.
    run = group.first_run + window
    if group.is_main and not batch.folder.has_plan(run):
        return start_run(batch, tries, verify, run)[1]
    while not batch.folder.has_plan(run):
        time.sleep(WINDOW_WAIT_S)
    return batch.queue_of(batch.folder.read_plan(run))


def _first_queue(batch: JoinedBatch, tries: int, verify: bool) -> WorkQueue:
    """The queue of the first run of this group, whose number the main process sends to the others."""
    group = batch.group
    if group.is_main and not group.replaces:
        run = NO_RUN
        try:
            run, queue = start_run(batch, tries, verify)
            return queue
        finally:
            group.first_run = group.from_main(run)
    group.first_run = group.from_main(NO_RUN)
    if group.first_run == NO_RUN:
        raise StoppedError("stopped with the main process, which says why")
    return batch.queue_of(batch.folder.read_plan(group.first_run))


def start_run(batch: JoinedBatch, tries: int, verify: bool, run: int | None = None) -> tuple[int, WorkQueue]:
    """Checks all files and earlier outputs, and writes the plan; returns the number of the run, and its queue."""
    plan = BatchPlan(time.time(), batch.group.size, tries, _file_sizes(batch.pairs, batch.files))
    queue = _checked_queue(batch, plan)
    if verify:
        remove_undecodable(batch.folder, queue.records())
    if batch.retry_failed:
        plan = replace(plan, forgiven=queue.failures_by_output())
    if verify or batch.retry_failed:
        queue = batch.queue_of(plan)
    return batch.folder.write_plan(plan, run), queue


def _file_sizes(pairs: list[Pair], files: RemoteFiles) -> dict[str, int]:
    """Bytes of the files of each pair, by output; warns if files are missing.

    Raises:
        MediaError: if files are missing for all pairs.
    """
    checks = inspect_files(pairs, files)
    missing = missing_files(pairs, checks)
    if missing:
        first = describe_first_missing(pairs, missing)
        if len(missing) == len(pairs):
            raise MediaError(str(pairs[0].video), f"and all other pairs' files: {first}; check the root")
        message = "%d of %d pairs have files that cannot be read, and will fail; the first: %s"
        logger.warning(message, len(missing), len(pairs), first)
    return {pair.output: sum(checks[path][0] for path in (pair.video, pair.audio) if path) for pair in pairs}


def _checked_queue(batch: JoinedBatch, plan: BatchPlan) -> WorkQueue:
    """The work queue, once it is certain that every output in the folder is ours and has the settings of this call.

    Raises:
        MediaError: if a file in the folder was not made by a batch.
        Diff2LipError: if an output was made with different settings.
    """
    # List outputs, then leases, then records, as another call may run: an output has a lease until it has a record.
    existing = batch.folder.existing(batch.options)
    leased = batch.leases.all_keys()
    queue = batch.queue_of(plan)
    _check_no_foreign_file(batch.folder, existing - leased, queue)
    _check_settings(batch, existing, queue)
    return queue


def _check_no_foreign_file(folder: BatchFolder, unleased: Iterable[str], queue: WorkQueue) -> None:
    foreign = sorted(output for output in unleased if not queue.has_record(output))
    # Nothing was there when an earlier run planned it. So that run made it, and its record was damaged since.
    foreign = [output for output in foreign if not folder.was_planned(output)] if foreign else []
    if foreign:
        reason = "exists, but was not made by a batch in this folder; move it away, or choose another folder"
        raise MediaError(str(folder.output_dir / foreign[0]), reason)


def _check_settings(batch: JoinedBatch, existing: set[str], queue: WorkQueue) -> None:
    done = {
        record["output"]: record
        for record in queue.records()
        if record["status"] == DONE and record["output"] in existing
    }
    wanted = {
        pair.output: batch.records.settings(pair, batch.options[pair.output])
        for pair in batch.pairs
        if pair.output in done
    }
    check_same_settings(done, wanted, batch.folder.output_dir)


def check_nothing_lost(queue: WorkQueue, folder: BatchFolder) -> None:
    """Raises MediaError if outputs that were made are not there any more."""
    lost = queue.lost(folder.intact)
    if lost:
        reason = f"{len(lost)} outputs were removed or changed while the batch ran, such as {lost[0]}"
        raise MediaError(str(folder.output_dir), f"{reason}; start it again to make them")
