"""Many pairs into one folder, by any number of processes, each of which may be killed at any moment."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import Diff2LipError, MediaError, StoppedError
from ..lipsync.options import SyncOptions, checked_options
from ..pipeline_diff2lip import Diff2LipPipeline
from .folder import BatchFolder, BatchPlan
from .heartbeat import Heartbeat
from .journal import Journal
from .leases import Leases
from .pair_files import first_missing, look_at_files, missing_files
from .pairs import Pair, check_pairs
from .process_group import ProcessGroup
from .records import BatchRecords, check_same_settings
from .work_queue import DONE, WorkQueue
from .workers import PairWorker, SplitWorker

WATCH_S = 2
# results.jsonl is written anew for at most this part of the time.
SUMMARY_PART = 0.02

logger = logging.getLogger(__name__)

SPLITS = ("pairs", "frames")

OnProgress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch.

    Args:
        num_done: pairs whose output is there.
        num_failed: pairs that failed for good.
        failures: their records, as in `results.jsonl`.
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
    split: str = "pairs",
    on_progress: OnProgress | None = None,
    group: ProcessGroup | None = None,
    **options,
) -> BatchResult:
    """Lip-syncs many pairs; returns when each is done or has failed, whichever process did it.

    All processes of a group call it alike, and work goes to whoever is free. What is done is never done again: after a
    crash, the same call goes on. Calls at the same time on one folder share the work.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        pairs: what to sync.
        output_dir: folder for the outputs and `results.jsonl`, a line a pair; made if it is not there.
        retries: how often a pair that failed is tried again, at the end.
        retry_failed: whether to try those again that failed in earlier calls.
        split: what goes to processes: whole `"pairs"`, or the `"frames"` of one pair after another, for a few long
            videos; the parts become one exactly.
        on_progress: called in the main process every few seconds as `(done, failed, open)`, in a thread of its own.
        group: the processes at work; those that accelerate launched by default.
        **options: the fields of [`SyncOptions`] for all pairs; a pair's own take their place.

    Raises:
        ValueError: if an option is out of range.
        PairListError: if pairs contradict each other, or have options that cannot be.
        MediaError: if the folder cannot be written, the disk is full, or no input is there.
        Diff2LipError: if the folder holds outputs of other options or another model.
    """
    batch_size = checked_options(options, "sync_batch").batch_size
    if "detections" in options:
        raise ValueError("`detections` is a file for one video; leave it out")
    if split not in SPLITS:
        raise ValueError(f"`split` is {split!r}, known are {', '.join(SPLITS)}")
    pairs = check_pairs(pairs)
    chosen = _options_of(pairs, options)
    group = group or ProcessGroup()
    folder = BatchFolder(output_dir)
    with _at_work(folder) as process:
        log = Journal(folder.state, process.id)
        leases = Leases(folder.state, process)
        records = BatchRecords(pipe, process.id, group.index)

        def board_of(plan: BatchPlan) -> WorkQueue:
            until_s = plan.started_s if retry_failed else 0
            return WorkQueue(
                pairs, plan.sizes, folder.existing, leases, log, plan.tries, until_s, keep_done=group.is_main
            )

        def prepare() -> tuple[BatchPlan, WorkQueue]:
            plan = BatchPlan(time.time(), group.size, retries + 1, _sizes_of(pairs))
            # In this order, as another call may be at work: an output has a claim until it has a record.
            there = folder.existing(chosen)
            claimed = leases.all()
            queue = board_of(plan)
            _check_nothing_strange(folder, there - claimed, queue)
            done = {one["output"]: one for one in queue.records() if one["status"] == DONE and one["output"] in there}
            wanted = {one.output: records.settings(one, chosen[one.output]) for one in pairs if one.output in done}
            check_same_settings(done, wanted, folder.output_dir)
            return plan, queue

        queue = _agree(group, folder, prepare, board_of)
        worker_of = SplitWorker if split == "frames" else PairWorker
        worker = worker_of(pipe, folder, leases, process.id, queue, records, chosen)
        with _Watch(queue, log, folder, on_progress) if group.is_main else nullcontext():
            worker.work(batch_size)
        done, failed, _ = queue.counts()
        return BatchResult(done, failed, queue.failures())


def _sizes_of(pairs: list[Pair]) -> dict[str, int]:
    """Bytes of the files of each pair, by output; says which ones are missing.

    Raises:
        MediaError: if all are.
    """
    looks = look_at_files(pairs)
    missing = missing_files(pairs, looks)
    if missing:
        first = first_missing(pairs, missing)
        if len(missing) == len(pairs):
            raise MediaError(pairs[0].video, f"and all other pairs' files: {first}; check the root")
        told = "%d of %d pairs have files that cannot be read, and will fail; the first: %s"
        logger.warning(told, len(missing), len(pairs), first)
    return {pair.output: sum(looks[path][0] for path in (pair.video, pair.audio) if path) for pair in pairs}


def _options_of(pairs: Iterable[Pair], options: Mapping[str, object]) -> dict[str, SyncOptions]:
    """The options of each pair, by output; those that are equal are the same object."""
    chosen, known = {}, {}
    for pair in pairs:
        own = repr(sorted(pair.options.items()))
        try:
            if own not in known:
                known[own] = SyncOptions(**{**options, **pair.options})
        except ValueError as error:
            place = pair.output if pair.line is None else f"line {pair.line}"
            raise ValueError(f"{place}: {error}") from error
        chosen[pair.output] = known[own]
    return chosen


@contextmanager
def _at_work(folder: BatchFolder) -> Iterator[Heartbeat]:
    """This process among those at work on the folder, after what dead ones left half done is removed."""
    with Heartbeat(folder.state) as process:
        Leases(folder.state, process).sweep(process.forget_dead())
        folder.drop_left_over(process.is_alive)
        try:
            yield process
        finally:
            folder.drop_work_of(process.id)


def _agree(
    group: ProcessGroup,
    folder: BatchFolder,
    prepare: Callable[[], tuple[BatchPlan, WorkQueue]],
    board_of: Callable[[BatchPlan], WorkQueue],
) -> WorkQueue:
    """The main process looks at all files and at what was done before; the others wait for what it makes of that."""
    if not group.is_main:
        run = group.from_main(0)
        if not run:
            raise StoppedError("stopped with the main process, which says why")
        return board_of(folder.read_plan(run))
    run = 0
    try:
        plan, queue = prepare()
        run = folder.write_plan(plan)
        return queue
    finally:
        group.from_main(run)


def _check_nothing_strange(folder: BatchFolder, unclaimed: Iterable[str], queue: WorkQueue) -> None:
    strange = sorted(output for output in unclaimed if not queue.has_record(output))
    if strange:
        reason = "is there, but was not made by a batch in this folder; move it away, or choose another folder"
        raise MediaError(folder.output_dir / strange[0], reason)


class _Watch:
    """Tells how far all processes are, and keeps `results.jsonl` up to date, in a thread of its own."""

    def __init__(self, queue: WorkQueue, log: Journal, folder: BatchFolder, on_progress: OnProgress | None):
        self._queue, self._log, self._folder, self._on_progress = queue, log, folder, on_progress
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, error_type, error, traceback) -> None:
        self._leaving.set()
        self._thread.join()
        if error_type is None:
            self._show()
            self._write_summary()
        else:
            with suppress(Diff2LipError):  # the first error counts
                self._write_summary()

    def _watch(self) -> None:
        due_s = 0.0
        while not self._leaving.wait(WATCH_S):
            with suppress(MediaError):  # of a moment, or said by the worker
                self._show()
                if time.monotonic() >= due_s:
                    took_s = self._write_summary()
                    due_s = time.monotonic() + took_s / SUMMARY_PART

    def _show(self) -> None:
        counts = self._queue.counts()
        if self._on_progress is not None:
            self._on_progress(*counts)

    def _write_summary(self) -> float:
        """Seconds that it took."""
        start_s = time.monotonic()
        self._log.write_summary(self._folder.results, self._queue.records())
        return time.monotonic() - start_s
