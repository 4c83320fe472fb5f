"""Jobs of the page: they stand in line, one runs at a time, and each person has a few at most."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..errors import Diff2LipError
from ..lipsync.malloc_trim import trim_heap

logger = logging.getLogger(__name__)

INTERNAL = "Something went wrong on the server; its log says more. Try another file."


class LineFullError(Diff2LipError):
    """There is no place for another job."""


class CanceledError(Diff2LipError):
    """Ends the work of a job that was canceled."""


class JobState(Enum):
    """Where a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass
class QueuedJob:
    """A job of one person.

    Attributes:
        person: whose job it is.
        work: makes the result; it is called with the job, in the thread that works.
        on_end: called once with the last state, when the job is over.
        state: where it is.
        stage: what is being done, in words.
        done: units of work done; frames or steps.
        expected: units in all; None if not known.
        seconds: time since the first unit was begun.
        result: what the work returned.
        message: why it failed, in one line.
    """

    person: str
    work: Callable[["QueuedJob"], Any]
    on_end: Callable[[JobState], None] = lambda state: None
    state: JobState = JobState.WAITING
    stage: str = "starting"
    done: int = 0
    expected: int | None = None
    result: Any = None
    message: str = ""
    _begun_s: float | None = None
    _canceled: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELED)

    @property
    def left_s(self) -> float | None:
        """Seconds left at the speed so far; None if not known."""
        if self._begun_s is None or not self.done or self.expected is None:
            return None
        return (time.monotonic() - self._begun_s) / self.done * max(0, self.expected - self.done)

    def enter(self, stage: str) -> None:
        """Begins another stage, whose units are counted from 0.

        Raises:
            CanceledError: if the job was canceled.
        """
        self.stage, self.done, self.expected, self._begun_s = stage, 0, None, time.monotonic()
        self.go_on()

    def report(self, done: int, expected: int | None) -> None:
        """Says how far the work is.

        Raises:
            CanceledError: if the job was canceled.
        """
        self.done, self.expected = done, expected
        self.go_on()

    def go_on(self) -> None:
        """Ends the work if the job was canceled.

        Raises:
            CanceledError: if so.
        """
        if self._canceled.is_set():
            raise CanceledError("canceled")

    def cancel(self) -> None:
        """Asks the work to end."""
        self._canceled.set()


class JobLine:
    """A line of jobs, and the thread that does them.

    Args:
        max_jobs: how many may wait or run.
        max_jobs_per_person: how many of them one person may have.
    """

    def __init__(self, max_jobs: int, max_jobs_per_person: int):
        self.max_jobs, self.max_jobs_per_person = max_jobs, max_jobs_per_person
        self._waiting: deque[QueuedJob] = deque()
        self._running: QueuedJob | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="diff2lip-app-jobs", daemon=True)
        self._worker.start()

    def join(
        self,
        person: str,
        work: Callable[[QueuedJob], Any],
        on_end: Callable[[JobState], None] = lambda state: None,
    ) -> QueuedJob:
        """Adds a job at the end of the line.

        Args:
            person: whose job it is.
            work: makes its result.
            on_end: called once with its last state, also if it was canceled in the line.

        Raises:
            LineFullError: if the person, or all together, have too many.
        """
        job = QueuedJob(person, work, on_end)
        with self._changed:
            if self._closed:
                raise LineFullError("The server is going down; try again later.")
            self.check_place(person)
            self._waiting.append(job)
            self._changed.notify()
        return job

    def check_place(self, person: str) -> None:
        """Makes sure that a person can add a job.

        Raises:
            LineFullError: if the person, or all together, have too many.
        """
        jobs = self.jobs()
        if sum(job.person == person for job in jobs) >= self.max_jobs_per_person:
            most = self.max_jobs_per_person
            raise LineFullError(f"You have {most} unfinished jobs, the most for one person; wait, or cancel them.")
        if len(jobs) >= self.max_jobs:
            raise LineFullError(f"{len(jobs)} jobs are waiting, the most that fit; try again in a few minutes.")

    def jobs(self) -> list[QueuedJob]:
        """The jobs that wait or run, in order."""
        with self._changed:
            running = [self._running] if self._running is not None else []
            return [*running, *self._waiting]

    def before(self, job: QueuedJob) -> int:
        """How many jobs come before one that waits."""
        jobs = self.jobs()
        return jobs.index(job) if job in jobs else 0

    def cancel(self, job: QueuedJob) -> None:
        """Cancels a job; one that runs ends as soon as its work asks."""
        with self._changed:
            job.cancel()
            if job in self._waiting:
                self._waiting.remove(job)
                self._end(job, JobState.CANCELED)

    def leave(self, person: str) -> int:
        """Cancels all jobs of a person; returns how many."""
        jobs = [job for job in self.jobs() if job.person == person]
        for job in jobs:
            self.cancel(job)
        return len(jobs)

    def close(self) -> None:
        """Cancels all jobs, and waits for the one that runs."""
        with self._changed:
            self._closed = True
            for job in self.jobs():
                self.cancel(job)
            self._changed.notify_all()
        self._worker.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._running = self._waiting.popleft()
                job.state = JobState.RUNNING
            try:
                job.result, state = job.work(job), JobState.DONE
            except CanceledError:
                state = JobState.CANCELED
            except Exception as error:  # a job must not end the thread
                state, job.message = JobState.FAILED, message_of(error)
            trim_heap()
            with self._changed:
                self._running = None
                self._end(job, state)

    def _end(self, job: QueuedJob, state: JobState) -> None:
        """Frees what a job holds before others see that it is over."""
        try:
            job.on_end(state)
        except OSError:
            logger.exception("what a job left could not be removed")
        job.state = state


def message_of(error: Exception) -> str:
    """What a person on the page is told of an error: the line of a known one; others go to the log only."""
    if isinstance(error, (Diff2LipError, ValueError)):
        return " ".join(str(error).split())
    logger.error("a job failed", exc_info=error)
    return INTERNAL
