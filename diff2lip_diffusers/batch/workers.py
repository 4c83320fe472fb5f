"""What one process of a batch does: whole pairs one after another, or parts of one pair after another."""

import errno
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import MediaError
from ..lipsync.job import SyncJob, SyncResult
from ..lipsync.options import SyncOptions
from ..lipsync.plan import JobPlan
from ..lipsync.run import sync_jobs
from ..lipsync.source_video import SourceVideo
from ..pipeline_diff2lip import Diff2LipPipeline
from .folder import BatchFolder
from .leases import Leases
from .pairs import Pair
from .records import BatchRecords
from .split_clip import PartJob, PartResult, SplitClip
from .work_queue import WorkQueue

logger = logging.getLogger(__name__)

# Memory for the decoded pictures of a video that several pairs use.
KEEP_BYTES = 512 * 2**20
WAIT_S = 0.5
# Of the frames that a header states; a few may be off, but what has less was cut short.
WHOLE_PART = 0.9
# What would meet the next pair as well.
HOPELESS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Worker:
    """Work on pairs until none is open any more.

    Args:
        pipe: what paints.
        folder: where everything lies.
        leases: of this process.
        process_id: names it.
        queue: knows what is to do.
        records: makes its records.
        options: of each pair, by output.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        folder: BatchFolder,
        leases: Leases,
        process_id: str,
        queue: WorkQueue,
        records: BatchRecords,
        options: Mapping[str, SyncOptions],
    ):
        self.pipe, self.folder, self.leases, self.process_id = pipe, folder, leases, process_id
        self.queue, self.records, self.options = queue, records, options

    def work(self, batch_size: int | None) -> None:
        """Returns when all is done or has failed; what others have at work they may leave, so it waits for that.

        Raises:
            MediaError: if the folder cannot be read or written, or the disk is full.
        """
        while True:
            sync_jobs(self.pipe, self.jobs(), self.end, batch_size=batch_size)
            if not self.queue.counts()[-1]:
                return
            time.sleep(WAIT_S)

    def jobs(self) -> Iterator[SyncJob]:
        """What there is for this process to do now."""
        raise NotImplementedError

    def end(self, job: SyncJob, outcome: SyncResult | None | Exception) -> None:
        """Takes in what became of a job."""
        raise NotImplementedError

    def put_in_place(
        self, pair: Pair, made: Path, plan: JobPlan, result: SyncResult, started_s: float
    ) -> Exception | None:
        """Moves an output to its name and records it; returns why not, if its video was cut short or it cannot."""
        try:
            _check_whole(pair, plan, result)
            self.folder.put_in_place(made, pair.output)
        except MediaError as error:
            return error
        self.queue.end(self.records.done(pair, self.options[pair.output], started_s, result))
        return None

    def fail(self, pair: Pair, started_s: float, error: Exception) -> None:
        """Records why a pair failed; raises what would meet the next pair as well."""
        logger.debug("%s", pair.output, exc_info=error)
        if _is_hopeless(error):
            raise error
        self.queue.end(self.records.failed(pair, self.options[pair.output], started_s, error))


def _check_whole(pair: Pair, plan: JobPlan, result: SyncResult) -> None:
    expected = plan.expected_frames
    if expected is not None and result.num_frames < WHOLE_PART * expected:
        frames = f"{result.num_frames} of the {expected} frames that its header states"
        raise MediaError(pair.video, f"has only {frames}, it was cut short; download or convert it again")


def _is_hopeless(error: BaseException | None) -> bool:
    """Whether the disk is full, say."""
    while error is not None:
        if getattr(error, "errno", None) in HOPELESS:
            return True
        error = error.__cause__
    return False


class PairWorker(Worker):
    """Takes whole pairs."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._uses = Counter(pair.video for pair in self.queue.open_pairs())
        self._source: SourceVideo | None = None
        self._started: dict[SyncJob, tuple[Pair, float]] = {}

    def jobs(self) -> Iterator[SyncJob]:
        """The pairs that this process gets, claimed one by one when there is time to read them."""
        while pair := self.queue.take():
            made = self.folder.new_work_path(self.process_id, pair.output)
            options = self.options[pair.output]
            job = SyncJob(self.pipe, self._source_video(pair), pair.audio or pair.video, made, options)
            self._started[job] = pair, time.time()
            yield job

    def end(self, job: SyncJob, outcome: SyncResult | None | Exception) -> None:
        """Puts the output in place, or records why there is none."""
        pair, started_s = self._started.pop(job)
        if not isinstance(outcome, Exception):
            outcome = self.put_in_place(pair, job.output, job.plan, outcome, started_s)
        if outcome is not None:
            self.folder.drop(job.output)
            self.fail(pair, started_s, outcome)

    def _source_video(self, pair: Pair) -> SourceVideo:
        if self._source is None or self._source.path != pair.video:
            self._source = SourceVideo(pair.video, KEEP_BYTES if self._uses[pair.video] > 1 else 0)
        return self._source


class SplitWorker(Worker):
    """Takes steps of pairs: one process follows the face, in a thread of its own; all paint parts; one joins them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._clips: dict[str, SplitClip] = {}
        self._pairs: dict[PartJob, tuple[Pair, float]] = {}
        self._following: threading.Thread | None = None
        self._stopped = threading.Event()

    def work(self, batch_size: int | None) -> None:
        """Returns when all is done or has failed; what others have at work they may leave, so it waits for that.

        Raises:
            MediaError: if the folder cannot be read or written, or the disk is full.
        """
        try:
            super().work(batch_size)
        finally:
            self._stopped.set()
            if self._following is not None:
                self._following.join()

    def jobs(self) -> Iterator[PartJob]:
        """The parts that this process gets, claimed one by one; what is complete is joined on the way."""
        while job := self._next_part():
            yield job

    def end(self, job: PartJob, outcome: PartResult | Exception) -> None:
        """Gives the part back, or records why its pair failed."""
        pair, started_s = self._pairs.pop(job)
        self.folder.drop(job.output)
        if isinstance(outcome, Exception):
            self.fail(pair, started_s, outcome)
        self.leases.release(job.clip.key_of(job.part))

    def _next_part(self) -> PartJob | None:
        pairs = self.queue.open_pairs()
        self._clips = {pair.output: self._clips[pair.output] for pair in pairs if pair.output in self._clips}
        for pair in pairs:
            started_s = time.time()
            try:
                clip = self._clip(pair)
                if clip.num_frames is None:
                    self._follow(pair, clip)
                part = next((part for part in clip.open_parts() if self._take_part(clip, part)), None)
                if part is not None:
                    job = PartJob(clip, part, self.folder.new_work_path(self.process_id, pair.output))
                    self._pairs[job] = pair, started_s
                    return job
                if clip.is_complete() and self.leases.take(pair.output):
                    self._join(pair, clip)
            except Exception as error:
                self.fail(pair, started_s, error)
        return None

    def _clip(self, pair: Pair) -> SplitClip:
        if pair.output not in self._clips:
            options = self.options[pair.output]
            settings = self.records.settings(pair, options)
            sound = pair.audio or pair.video
            self._clips[pair.output] = SplitClip(
                self.pipe, pair.video, sound, options, pair.output, settings, self.folder.state
            )
        return self._clips[pair.output]

    def _take_part(self, clip: SplitClip, part: int) -> bool:
        key = clip.key_of(part)
        if any(job.clip is clip and job.part == part for job in list(self._pairs)) or not self.leases.take(key):
            return False
        if part in clip.open_parts():  # it may have been done a moment ago
            return True
        self.leases.release(key)
        return False

    def _follow(self, pair: Pair, clip: SplitClip) -> None:
        """Follows the face, unless this process or another one is at it."""
        if (self._following is None or not self._following.is_alive()) and self.leases.take(clip.key_of("boxes")):
            self._following = threading.Thread(target=self._find_boxes, args=(pair, clip), name="follow", daemon=True)
            self._following.start()

    def _find_boxes(self, pair: Pair, clip: SplitClip) -> None:
        started_s = time.time()
        try:
            if clip.num_frames is None:
                clip.find_boxes(started_s, self._stopped)
        except Exception as error:
            self.fail(pair, started_s, error)
        finally:
            self.leases.release(clip.key_of("boxes"))

    def _join(self, pair: Pair, clip: SplitClip) -> None:
        if clip.is_complete():  # it may have been done a moment ago
            made = self.folder.new_work_path(self.process_id, pair.output)
            error = self.put_in_place(pair, made, clip.plan, *clip.join(made))
            if error is not None:
                raise error
            clip.drop()
        else:
            self.leases.release(pair.output)
