"""Runs a batch: many pairs into one folder, by any number of processes; resumes after a crash."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ..lipsync.options import checked_options
from ..lipsync.remote_job import files_of
from ..lipsync.task_restoration import restorer_of
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.urls import Location, Url, located
from .in_store.open_batch import open_batch
from .on_ray.datasets import is_dataset, pairs_of
from .on_ray.engine import RayEngine, ray_engine
from .on_ray.settings import RayCluster
from .pairs import Pair, check_pairs
from .planning import BatchResult, JoinedBatch, agreed_queue, check_nothing_lost, joined, options_by_output
from .process_group import ProcessGroup
from .progress import OnProgress, ProgressThread
from .records import BatchRecords
from .split_workers import SplitWorker
from .supervisor import Reports
from .workers import PairWorker

SPLITS = ("pairs", "frames")
ENGINES = ("processes", "ray")


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
    engine: str = "processes",
    cluster: RayCluster | None = None,
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
        pairs: the pairs to lip-sync; or a Ray Dataset with the columns of a list.
        output_dir: folder for the outputs and `results.jsonl`, one line a pair; created if needed.
        retries: how often a failed pair is tried again, after the others.
        retry_failed: whether to retry pairs that failed in earlier calls.
        verify: whether to decode the outputs of earlier calls first, and to make those again that are damaged. Without
            it, only their sizes are compared with those that were recorded.
        split: what the processes share: whole `"pairs"`, or the `"frames"` of one pair after another, for a few long
            videos; joining the parts changes nothing in the result.
        window: number of the part of a long list that `pairs` are, from 0. All processes of a group go through all
            windows, one call for each.
        engine: who does the work: the `"processes"` of this group and of other calls on the folder, or the workers of
            a `"ray"` cluster, one for each GPU or core. Outputs are the same.
        cluster: which Ray cluster, and how many workers.
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
    restorer_of(common, pipe._execution_device)
    place = located(output_dir)
    pairs = check_pairs(pairs_of(pairs) if is_dataset(pairs) else pairs)
    _check_batch_options(options, split, [place, *(file for pair in pairs for file in (pair.video, pair.audio))])
    _check_engine(engine, cluster, group)
    by_output = options_by_output(pairs, options)
    group, reports = group or ProcessGroup(), reports or Reports()
    # 2. Join the processes that work on the folder; clean up after dead ones.
    files = files_of(common)
    folder = open_batch(place, files)
    with (
        _cluster_of(engine, cluster, pipe) as rays,
        joined(folder, alone=engine == "ray" and split == "pairs") as (heartbeat, leases),
    ):
        records = BatchRecords(pipe, heartbeat.id, group.index)
        batch = JoinedBatch(pairs, by_output, group, folder, heartbeat.id, leases, records, files, retry_failed)
        # 3. Agree on a plan: the main process checks files and folder and writes the plan; the others read it.
        queue = agreed_queue(batch, window, retries + 1, verify)
        reports.joined(_whole(folder.output_dir), heartbeat.id, group.seat)
        # 4. Work until no pair is open, in this process or in another one.
        with (
            ProgressThread(queue, folder.journal(heartbeat.id), folder, on_progress)
            if group.is_main
            else nullcontext()
        ):
            if rays is not None:
                rays.work(pipe, queue, place, folder, group.first_run + window, options, split)
            else:
                make_worker = SplitWorker if split == "frames" else PairWorker
                worker = make_worker(pipe, folder, leases, heartbeat.id, queue, records, by_output, reports, files)
                worker.work(common.batch_size)
        # 5. Count what all processes did.
        if group.is_main:
            check_nothing_lost(queue, folder)
        done, failed, _ = queue.counts()
        return BatchResult(done, failed, queue.failures())


def _check_batch_options(options: Mapping[str, object], split: str, places: Iterable[Location | None]) -> None:
    if "detections" in options:
        raise ValueError("`detections` is a file for one video; leave it out")
    if split not in SPLITS:
        raise ValueError(f"`split` is {split!r}, known are {', '.join(SPLITS)}")
    if split == "frames" and any(isinstance(place, Url) for place in places):
        raise ValueError('`split` "frames" shares parts in a folder; use local files, or `split` "pairs"')


def _cluster_of(
    engine: str, cluster: RayCluster | None, pipe: Diff2LipPipeline
) -> AbstractContextManager[RayEngine | None]:
    return ray_engine(cluster or RayCluster(), pipe) if engine == "ray" else nullcontext()


def _check_engine(engine: str, cluster: RayCluster | None, group: ProcessGroup | None) -> None:
    if engine not in ENGINES:
        raise ValueError(f"`engine` is {engine!r}, known are {', '.join(ENGINES)}")
    if cluster is not None and engine != "ray":
        raise ValueError('`cluster` is for `engine` "ray"; leave it out')
    if engine == "ray" and group is not None and group.size > 1:
        raise ValueError('`engine` "ray" starts its workers itself; run it in one process, without a launcher')


def _whole(place: Location) -> str:
    return place.full if isinstance(place, Url) else str(place)
