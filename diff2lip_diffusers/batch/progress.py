"""Progress of a running batch: a thread of the main process reports it and keeps `results.jsonl` up to date."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ..errors import Diff2LipError, MediaError
from .folder import BatchFolder
from .journal import Journal
from .work_queue import WorkQueue

REPORT_S = 2
# Writing results.jsonl takes at most this part of the time.
SUMMARY_PART = 0.02

OnProgress = Callable[[int, int, int], None]


class ProgressThread:
    """A thread that reports the progress of all processes and rewrites `results.jsonl`.

    A context manager: the thread runs inside the block. At the end of the block, it reports and writes once more.

    Args:
        queue: the work queue, which sees the records of all processes.
        journal: writes the file.
        folder: files of the batch.
        on_progress: called as `(done, failed, open)`.
    """

    def __init__(self, queue: WorkQueue, journal: Journal, folder: BatchFolder, on_progress: OnProgress | None):
        self._queue, self._journal, self._folder, self._on_progress = queue, journal, folder, on_progress
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, error_type, error, traceback) -> None:
        self._leaving.set()
        self._thread.join()
        if error_type is None:
            self._report()
            self._write_summary()
        else:
            with suppress(Diff2LipError):  # the error of the block counts
                self._write_summary()

    def _run(self) -> None:
        due_s = 0.0
        while not self._leaving.wait(REPORT_S):
            with suppress(MediaError):  # it may pass, or the worker raises it as well
                self._report()
                if time.monotonic() >= due_s:
                    took_s = self._write_summary()
                    due_s = time.monotonic() + took_s / SUMMARY_PART

    def _report(self) -> None:
        counts = self._queue.counts()
        if self._on_progress is not None:
            self._on_progress(*counts)

    def _write_summary(self) -> float:
        """Rewrites `results.jsonl`; returns the seconds that it took."""
        start_s = time.monotonic()
        self._journal.write_summary(self._folder.results, self._queue.records())
        return time.monotonic() - start_s
