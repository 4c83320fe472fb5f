"""Threads that paint side by side: on a processor, two that compute on one core each are faster than one on two."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..portable.pipeline_diff2lip import Diff2LipPipeline

MAX_WORKERS = 8


def most_workers(pipe: Diff2LipPipeline) -> int:
    """How many threads can paint side by side: as many as torch has on a processor, one on other devices."""
    return min(torch.get_num_threads(), MAX_WORKERS) if pipe._execution_device.type == "cpu" else 1


def start_workers(run: Callable[[], None], count: int) -> list[threading.Thread]:
    """Starts threads that run a function. If there are several, each computes on one core; other threads keep theirs.

    Args:
        run: the function.
        count: how many threads.
    """
    cores, are_set = torch.get_num_threads(), threading.Barrier(count + 1)

    def begin() -> None:
        if count > 1:
            torch.set_num_threads(1)
            torch.get_num_threads()  # until it is asked for, a thread would take the number of others
        are_set.wait()
        run()

    threads = [threading.Thread(target=begin, name="live-painter", daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    are_set.wait()
    if count > 1:
        torch.set_num_threads(cores)  # threads that have no number yet take the latest one
    return threads


def side_by_side(work: Callable[[Any], Any], jobs: Sequence[Any], count: int) -> list[Any]:
    """What a function returns for each job; several threads do them, each on one core.

    Raises:
        Exception: that of a job, when all threads have ended.
    """
    if min(count, len(jobs)) < 2:
        return [work(job) for job in jobs]
    results, failures, numbers = [None] * len(jobs), [], iter(range(len(jobs)))

    def run() -> None:
        while not failures and (number := next(numbers, None)) is not None:
            try:
                results[number] = work(jobs[number])
            except Exception as error:  # raised again below
                failures.append(error)

    for thread in start_workers(run, min(count, len(jobs))):
        thread.join()
    if failures:
        raise failures[0]
    return results


class Turns:
    """Lets threads do a part of their work in the order in which they drew numbers."""

    def __init__(self):
        self._drawn, self._next = 0, 0
        self._changed = threading.Condition()

    def draw(self) -> int:
        """Draws the next number. The thread has to take its turn."""
        with self._changed:
            self._drawn += 1
            return self._drawn - 1

    @contextmanager
    def turn(self, number: int) -> Iterator[None]:
        """Waits for the turn of a number; the next one follows after the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._next >= number)
        try:
            yield
        finally:
            with self._changed:
                self._next = max(self._next, number + 1)
                self._changed.notify_all()

    def end(self) -> None:
        """Lets all go on at once: one of them has failed, and does not take its turn."""
        with self._changed:
            self._next = self._drawn
            self._changed.notify_all()
