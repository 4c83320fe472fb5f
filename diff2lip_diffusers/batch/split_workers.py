"""Workers that share the frames of one pair after another."""

import threading
import time
from collections.abc import Iterator

from ..stores.urls import Url
from .pairs import Pair
from .part_job import PartJob
from .split_clip import PartResult, SplitClip
from .work_queue import WorkQueue
from .workers import Worker


class SplitWorker(Worker):
    """A worker that takes parts of pairs.

    For each pair, one process tracks the face in its own thread, all processes generate parts, and one joins them.
    """

    def __init__(self, *arguments):
        super().__init__(*arguments)
        if not isinstance(self.queue, WorkQueue):
            raise TypeError("parts are shared by way of a `WorkQueue`")
        self._pairs_left: WorkQueue = self.queue
        self._clips: dict[str, SplitClip] = {}
        self._pairs: dict[PartJob, tuple[Pair, float]] = {}
        self._tracking: threading.Thread | None = None
        self._tracked = ""
        self._stopped = threading.Event()

    def work(self, batch_size: int | None) -> None:
        """Works as [`Worker.work`] does, and stops tracking at the end."""
        try:
            super().work(batch_size)
        finally:
            self._stopped.set()
            if self._tracking is not None:
                self._tracking.join()

    def jobs(self) -> Iterator[PartJob]:
        """Yields the parts that this process can take, one by one; joins clips whose parts are complete."""
        while job := self._next_part():
            yield job

    def end(self, job: PartJob, outcome: PartResult | Exception) -> None:
        """Releases the part; records why its pair failed if it did."""
        pair, started_s = self._pairs.pop(job)
        self.folder.discard(job.output)
        if isinstance(outcome, Exception):
            self.fail(pair, started_s, outcome)
        self.leases.release(job.clip.key_of(job.part))
        self.reports.ended(pair.output)

    def _next_part(self) -> PartJob | None:
        pairs = self._in_turn(self._pairs_left.open_pairs())
        self._clips = {pair.output: self._clips[pair.output] for pair in pairs if pair.output in self._clips}
        for pair in pairs:
            if self._pairs_left.is_suspect(pair) and self.fail_if_deadly(pair):
                continue
            started_s = time.time()
            try:
                clip = self._clip(pair)
                if clip.num_frames is None:
                    self._track_face(pair, clip)
                part = next((part for part in clip.open_parts() if self._take_part(clip, part)), None)
                if part is not None:
                    started_s = self.begin(pair)
                    job = PartJob(clip, part, self.folder.new_work_path(self.process_id, pair.output))
                    self._pairs[job] = pair, started_s
                    return job
                if clip.is_complete() and self.leases.take(pair.output):
                    self._join(pair, clip)
            except Exception as error:
                self.fail(pair, started_s, error)
        return None

    def _in_turn(self, pairs: list[Pair]) -> list[Pair]:
        """The pairs to take parts of: all but suspects, or else one suspect while there is no other pair in hand."""
        others = [pair for pair in pairs if not self._pairs_left.is_suspect(pair)]
        if others or not pairs:
            return others
        in_hand = {pair.output for pair, _ in list(self._pairs.values())}
        if self._tracking is not None and self._tracking.is_alive():
            in_hand.add(self._tracked)
        return pairs[:1] if in_hand <= {pairs[0].output} else []

    def _clip(self, pair: Pair) -> SplitClip:
        if pair.output not in self._clips:
            options, state = self.options[pair.output], self.folder.state
            if isinstance(state, Url) or isinstance(pair.video, Url) or isinstance(pair.audio, Url):
                raise ValueError("parts are shared in a folder; use local files")
            settings = self.records.settings(pair, options)
            self._clips[pair.output] = SplitClip(
                self.pipe, pair.video, pair.audio, options, pair.output, settings, state
            )
        return self._clips[pair.output]

    def _take_part(self, clip: SplitClip, part: int) -> bool:
        key = clip.key_of(part)
        if any(job.clip is clip and job.part == part for job in list(self._pairs)) or not self.leases.take(key):
            return False
        if part in clip.open_parts():  # another process may have finished it a moment ago
            return True
        self.leases.release(key)
        return False

    def _track_face(self, pair: Pair, clip: SplitClip) -> None:
        """Starts tracking the face, unless this thread is busy or another process does it."""
        if (self._tracking is None or not self._tracking.is_alive()) and self.leases.take(clip.key_of("boxes")):
            self._tracked = pair.output
            self._tracking = threading.Thread(target=self._find_boxes, args=(pair, clip), name="track", daemon=True)
            self._tracking.start()

    def _find_boxes(self, pair: Pair, clip: SplitClip) -> None:
        started_s = self.begin(pair)
        try:
            if clip.num_frames is None:
                clip.find_boxes(started_s, self._stopped)
        except Exception as error:
            self.fail(pair, started_s, error)
        finally:
            self.leases.release(clip.key_of("boxes"))
            self.reports.ended(pair.output)

    def _join(self, pair: Pair, clip: SplitClip) -> None:
        if clip.is_complete():  # another process may have joined it a moment ago
            self.begin(pair)
            try:
                made = self.folder.new_work_path(self.process_id, pair.output)
                error = self.put_in_place(pair, made, clip.plan, *clip.join(made))
                if error is not None:
                    raise error
                clip.drop()
            finally:
                self.reports.ended(pair.output)
        else:
            self.leases.release(pair.output)
