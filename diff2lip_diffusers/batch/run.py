"""Runs a batch: many pairs into one folder, by any number of processes; resumes after a crash."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import MediaError, StoppedError
from ..lipsync.options import SyncOptions, checked_options
from ..lipsync.remote_job import files_of
from ..lipsync.task_restoration import restorer_of
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.remote_files import RemoteFiles
from ..stores.urls import Location, Url, located
from .folder import BatchFolder, BatchPlan
from .heartbeat import Heartbeat
from .in_store.open_batch import open_batch
from .journal import Journal
from .leases import Leases
from .output_checks import remove_undecodable
from .pair_files import describe_first_missing, inspect_files, missing_files
from .pair_records import DIED, DONE, output_of
from .pairs import Pair, check_pairs
from .process_group import ProcessGroup
from .progress import OnProgress, ProgressThread
from .records import BatchRecords, check_same_settings
from .split_workers import SplitWorker
from .supervisor import Reports
from .work_queue import WorkQueue
from .workers import PairWorker

logger = logging.getLogger(__name__)

SPLITS = ("pairs", "frames")
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


def sync_batch(
    pipe: Diff2LipPipeline,
    pairs: Iterable[Pair],
    output_dir: str | Path,
    *,
    retries: int = 1,
    retry_failed: bool = False,
    verify: bool = False,
    split: str = "pairs",
    window: int = 0,
    on_progress: OnProgress | None = None,
    group: ProcessGroup | None = None,
    reports: Reports | None = None,
    **options: Any,
) -> BatchResult:
    """Lip-syncs many pairs; returns when each one is done or has failed, whichever process did it.

    All processes of a group make the same call, and a free process takes the next pair. Finished pairs are never done
    again: after a crash, the same call resumes. Several calls on one folder at the same time share the work.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        pairs: the pairs to lip-sync.
        output_dir: folder for the outputs and `results.jsonl`, one line a pair; created if needed.
        retries: how often a failed pair is tried again, after the others.
        retry_failed: whether to retry pairs that failed in earlier calls.
        verify: whether to decode the outputs of earlier calls first, and to make those again that are damaged. Without
            it, only their sizes are compared with those that were recorded.
        split: what the processes share: whole `"pairs"`, or the `"frames"` of one pair after another, for a few long
            videos; joining the parts changes nothing in the result.
        window: number of the part of a long list that `pairs` are, from 0. All processes of a group go through all
            windows, one call for each.
        on_progress: called in the main process every few seconds as `(done, failed, open)`, from a separate thread.
        group: the processes of this run; by default those that accelerate launched.
        reports: tells a supervisor which pairs this process has in hand; see [`supervise`]. By default there is none:
            a pair that crashes the process ends it, and the next call takes that pair last and alone.
        **options: the fields of [`SyncOptions`] for all pairs; a pair's own options override them.

    Raises:
        ValueError: if an option is out of range.
        PairListError: if pairs contradict each other or have invalid options.
        MediaError: if the folder cannot be written, the disk is full, no input exists, or somebody removed outputs
            while the batch ran.
        Diff2LipError: if the folder holds outputs of different options or of another model, or if the file of
            `restore` cannot be used.
    """
    # 1. Check the arguments, before anything is written.
    common = checked_options(options, "sync_batch")
    batch_size = common.batch_size
    restorer_of(common, pipe._execution_device)
    place = located(output_dir)
    pairs = check_pairs(pairs)
    _check_batch_options(options, split, [place, *(file for pair in pairs for file in (pair.video, pair.audio))])
    options_by_output = _options_by_output(pairs, options)
    group, reports = group or ProcessGroup(), reports or Reports()
    # 2. Join the processes that work on the folder; clean up after dead ones.
    files = files_of(common)
    folder = open_batch(place, files)
    with _joined(folder) as heartbeat:
        journal = folder.journal(heartbeat.id)
        leases = folder.leases(heartbeat)
        records = BatchRecords(pipe, heartbeat.id, group.index)
        batch = _Batch(pairs, options_by_output, group, folder, heartbeat.id, leases, records, files, retry_failed)
        # 3. Agree on a plan: the main process checks files and folder and writes the plan; the others read it.
        queue = _agreed_queue(batch, window, retries + 1, verify)
        reports.joined(_whole(folder.output_dir), heartbeat.id, group.seat)
        # 4. Work until no pair is open, in this process or in another one.
        make_worker = SplitWorker if split == "frames" else PairWorker
        worker = make_worker(pipe, folder, leases, heartbeat.id, queue, records, options_by_output, reports, files)
        with ProgressThread(queue, journal, folder, on_progress) if group.is_main else nullcontext():
            worker.work(batch_size)
        # 5. Count what all processes did.
        if group.is_main:
            _check_nothing_lost(queue, folder)
        done, failed, _ = queue.counts()
        return BatchResult(done, failed, queue.failures())


def _check_batch_options(options: Mapping[str, object], split: str, places: Iterable[Location | None]) -> None:
    if "detections" in options:
        raise ValueError("`detections` is a file for one video; leave it out")
    if split not in SPLITS:
        raise ValueError(f"`split` is {split!r}, known are {', '.join(SPLITS)}")
    if split == "frames" and any(isinstance(place, Url) for place in places):
        raise ValueError('`split` "frames" shares parts in a folder; use local files, or `split` "pairs"')


def _whole(place: Location) -> str:
    return place.full if isinstance(place, Url) else str(place)


def _options_by_output(pairs: Iterable[Pair], options: Mapping[str, Any]) -> dict[str, SyncOptions]:
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
def _joined(folder: BatchFolder) -> Iterator[Heartbeat]:
    """Gives this process's heartbeat in the folder; removes what dead processes left, and at the end what is ours."""
    with folder.working(), folder.heartbeat() as heartbeat:
        killed = heartbeat.forget_dead()
        leases = folder.leases(heartbeat)
        leases.remove_partial(killed)
        _record_deaths(folder.journal(heartbeat.id), leases.keys_of(killed))
        folder.discard_leftovers(heartbeat.is_alive)
        try:
            yield heartbeat
        finally:
            folder.discard_work_of(heartbeat.id)


def _record_deaths(journal: Journal, keys: Mapping[str, set[str]]) -> None:
    """Records which pairs processes had in hand when they were killed, by the `id` of the process."""
    for process_id, held in sorted(keys.items()):
        outputs = {output_of(key) for key in held}
        death = {"status": DIED, "process": process_id, "num_suspects": len(outputs), "ended_s": round(time.time(), 3)}
        for output in sorted(outputs):
            journal.append({"output": output, **death})


@dataclass(frozen=True)
class _Batch:
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


def _agreed_queue(batch: _Batch, window: int, tries: int, verify: bool) -> WorkQueue:
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
        return _start_run(batch, tries, verify, run)[1]
    while not batch.folder.has_plan(run):
        time.sleep(WINDOW_WAIT_S)
    return batch.queue_of(batch.folder.read_plan(run))


def _first_queue(batch: _Batch, tries: int, verify: bool) -> WorkQueue:
    """The queue of the first run of this group, whose number the main process sends to the others."""
    group = batch.group
    if group.is_main and not group.replaces:
        run = NO_RUN
        try:
            run, queue = _start_run(batch, tries, verify)
            return queue
        finally:
            group.first_run = group.from_main(run)
    group.first_run = group.from_main(NO_RUN)
    if group.first_run == NO_RUN:
        raise StoppedError("stopped with the main process, which says why")
    return batch.queue_of(batch.folder.read_plan(group.first_run))


def _start_run(batch: _Batch, tries: int, verify: bool, run: int | None = None) -> tuple[int, WorkQueue]:
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


def _checked_queue(batch: _Batch, plan: BatchPlan) -> WorkQueue:
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


def _check_settings(batch: _Batch, existing: set[str], queue: WorkQueue) -> None:
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


def _check_nothing_lost(queue: WorkQueue, folder: BatchFolder) -> None:
    """Raises MediaError if outputs that were made are not there any more."""
    lost = queue.lost(folder.intact)
    if lost:
        reason = f"{len(lost)} outputs were removed or changed while the batch ran, such as {lost[0]}"
        raise MediaError(str(folder.output_dir), f"{reason}; start it again to make them")
