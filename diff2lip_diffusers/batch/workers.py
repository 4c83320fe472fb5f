"""Workers of a batch, one in each process; this one takes whole pairs."""

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MediaError
from ..lipsync.frame_tasks import Job
from ..lipsync.job import SyncJob, SyncResult
from ..lipsync.options import SyncOptions
from ..lipsync.plan import JobPlan
from ..lipsync.remote_job import RemoteJob, urls_in
from ..lipsync.run import sync_jobs
from ..lipsync.source_video import SourceVideo
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.failures import StoreError
from ..stores.remote_files import RemoteFiles
from .folder import BatchFolder
from .heartbeat import accessing
from .leases import Leases
from .on_ray.handed_pairs import HandedPairs
from .pairs import Pair
from .records import BatchRecords
from .supervisor import Reports
from .work_queue import ProcessDiedError, WorkQueue

logger = logging.getLogger(__name__)

# Memory for the decoded frames of a video that several pairs use.
KEEP_BYTES = 512 * 2**20
# A header may be a few frames off; a video with a smaller part of its frames than this was cut short.
MIN_FRAMES_PART = 0.9
# Errors that the next pair would meet as well: the disk is full or read-only.
# A pair fails once after so many deaths of its process that no supervisor saw: most of them have another cause.
UNSEEN_DEATHS = 5
FATAL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Worker:
    """A worker: takes work from the queue until no pair is open.

    Args:
        pipe: the pipeline that generates the frames.
        folder: files of the batch.
        leases: leases of this process.
        process_id: unique name of this process.
        queue: the work queue, as this process sees it.
        records: makes the records of this process.
        options: options of each pair, by output.
        reports: tells a supervisor which pairs this process has in hand.
        files: fetches inputs that have URLs.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        folder: BatchFolder,
        leases: Leases,
        process_id: str,
        queue: WorkQueue | HandedPairs,
        records: BatchRecords,
        options: Mapping[str, SyncOptions],
        reports: Reports,
        files: RemoteFiles,
    ):
        self.pipe, self.folder, self.leases, self.process_id = pipe, folder, leases, process_id
        self.queue, self.records, self.options, self.reports = queue, records, options, reports
        self.files = files

    def work(self, batch_size: int | None) -> None:
        """Works until every pair is done or has failed; waits for other processes, whose pairs it takes if they die.

        Args:
            batch_size: crops in one call of the model; None for the device's default.

        Raises:
            MediaError: if the folder cannot be read or written, or the disk is full.
        """
        while True:
            sync_jobs(self.pipe, self.jobs(), self.end, batch_size=batch_size)
            if not self.queue.wait_for_more():
                return

    def jobs(self) -> Iterator[Job]:
        """Yields the jobs that this process can take now."""
        raise NotImplementedError

    def end(self, job: Any, outcome: Any) -> None:
        """Handles the outcome of a job: its result, or the error that ended it."""
        raise NotImplementedError

    def put_in_place(
        self, pair: Pair, made: Path, plan: JobPlan, result: SyncResult, started_s: float
    ) -> Exception | None:
        """Moves an output to its final path and records it; returns the error if that fails or the video is cut."""
        try:
            _check_whole(pair, plan, result)
            with accessing(made):
                output_bytes = made.stat().st_size
            self.folder.put_in_place(made, pair.output)
        except MediaError as error:
            return error
        self.queue.finish(self.records.done(pair, self.options[pair.output], started_s, result, output_bytes))
        return None

    def begin(self, pair: Pair) -> float:
        """Tells the supervisor that this process has a pair in hand; returns the time in seconds since 1970."""
        started_s = time.time()
        self.reports.began(self.records.begun(pair, self.options[pair.output], started_s))
        return started_s

    def fail_if_deadly(self, pair: Pair) -> bool:
        """Fails a pair whose processes died too often, without anybody who saw why; returns whether it did."""
        deaths = self.queue.unseen_deaths(pair)
        if deaths < UNSEEN_DEATHS:
            return False
        reason = f"{deaths} processes died while they made it alone; memory may be short, or its files damaged"
        self.fail(pair, time.time(), ProcessDiedError(reason))
        return True

    def fail(self, pair: Pair, started_s: float, error: Exception) -> None:
        """Records why a pair failed; raises the error if the next pair would meet it as well."""
        logger.debug("%s", pair.output, exc_info=error)
        if _is_fatal(error):
            raise error
        self.queue.finish(self.records.failed(pair, self.options[pair.output], started_s, error))


def _check_whole(pair: Pair, plan: JobPlan, result: SyncResult) -> None:
    expected = plan.expected_frames
    if expected is not None and result.num_frames < MIN_FRAMES_PART * expected:
        frames = f"{result.num_frames} of the {expected} frames that its header states"
        raise MediaError(str(pair.video), f"has only {frames}; it was cut short; download or convert it again")


def _is_fatal(error: BaseException | None) -> bool:
    """Whether the next pair would meet the error as well: the disk is full, or credentials expired, for example."""
    while error is not None:
        if getattr(error, "errno", None) in FATAL_ERRNOS or (isinstance(error, StoreError) and error.concerns_all):
            return True
        error = error.__cause__
    return False


class PairWorker(Worker):
    """A worker that takes whole pairs."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._source: SourceVideo | None = None
        self._started: dict[SyncJob, tuple[Pair, Path, float]] = {}

    def work(self, batch_size: int | None) -> None:
        """Works as [`Worker.work`] does, and lets the inputs of jobs go that an error interrupted."""
        try:
            super().work(batch_size)
        finally:
            for job in self._started:
                if isinstance(job, RemoteJob):
                    job.end(None)

    def jobs(self) -> Iterator[SyncJob]:
        """Yields the pairs that this process can take; each is taken when there is time to read it.

        If there is none, yields one suspect: nothing else is in hand then.
        """
        took = False
        while pair := self.queue.take():
            took = True
            yield self._job(pair)
        while not took and (pair := self.queue.take(suspect=True)):
            if not self.fail_if_deadly(pair):
                took = True
                yield self._job(pair)

    def _job(self, pair: Pair) -> SyncJob:
        started_s = self.begin(pair)
        made = self.folder.new_work_path(self.process_id, pair.output)
        options = self.options[pair.output]
        job = self._job_of(pair, made, options)
        self._started[job] = pair, made, started_s
        return job

    def _job_of(self, pair: Pair, made: Path, options: SyncOptions) -> SyncJob:
        if isinstance(pair.video, Path) and not urls_in(pair.video, pair.audio, options):
            audio = pair.audio if isinstance(pair.audio, Path) else None
            return SyncJob(self.pipe, self._source_video(pair, pair.video), audio, made, options)
        open_video = partial(self._source_video, pair)
        return RemoteJob(self.pipe, self.files, pair.video, pair.audio, made, options, open_video)

    def end(self, job: SyncJob, outcome: SyncResult | Exception) -> None:
        """Puts the output in place, or records why there is none."""
        if isinstance(job, RemoteJob):
            job.end(outcome)
        pair, made, started_s = self._started.pop(job)
        if isinstance(outcome, Exception):
            error = outcome
        else:
            error = self.put_in_place(pair, made, job.plan, outcome, started_s)
        if error is not None:
            self.folder.discard(made)
            self.fail(pair, started_s, error)
        self.reports.ended(pair.output)

    def _source_video(self, pair: Pair, video: Path) -> SourceVideo:
        if self._source is None or self._source.path != video:
            cache_bytes = KEEP_BYTES if self.queue.has_twin(pair) else 0
            options = self.options[pair.output]  # these are the same for all pairs
            self._source = SourceVideo(video, cache_bytes, options.max_pixels, options.hwaccel)
        return self._source
