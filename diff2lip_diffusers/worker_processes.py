"""Work shared by processes of this machine: who is idle gets the next job, and all end with the one that began."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from .errors import Diff2LipError


def run_in_processes(make_work: Callable[[], Callable], jobs: Iterable[Any], count: int) -> Iterator[tuple[Any, Any]]:
    """Each job with what the work on it returned, in the order in which they end.

    Args:
        make_work: called once in each process; returns the function that does one job. Both, and jobs and what is
            returned, must be picklable; a program that calls this needs `if __name__ == "__main__"` around it.
        jobs: to be done.
        count: of processes; each computes with one thread.

    Raises:
        Diff2LipError: what the work raises, as one line; or a process ended without a word.
    """
    waiting = iter(jobs)
    with ExitStack() as stack:
        idle = [stack.enter_context(_worker(make_work)) for _ in range(count)]
        busy: dict[Connection, Any] = {}
        while True:
            while idle and (job := next(waiting, None)) is not None:
                connection = idle.pop()
                _send(connection, job)
                busy[connection] = job
            if not busy:
                return
            for connection in wait(list(busy)):
                job = busy.pop(connection)
                result = _receive(connection, job)
                idle.append(connection)
                yield job, result


@contextmanager
def _worker(make_work: Callable[[], Callable]) -> Iterator[Connection]:
    """A process, reached by the connection; ended with the block."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_work), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()
        ours.close()


def _send(connection: Connection, job: Any) -> None:
    try:
        connection.send(job)
    except OSError as error:
        raise Diff2LipError(f"{job}: its process is gone; is memory short? Try fewer workers") from error


def _receive(connection: Connection, job: Any) -> Any:
    try:
        error, result = connection.recv()
    except (EOFError, OSError) as error:
        raise Diff2LipError(f"{job}: its process is gone; is memory short? Try fewer workers") from error
    if error is not None:
        raise Diff2LipError(error)
    return result


def _serve(connection: Connection, make_work: Callable[[], Callable]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; who began ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    work = None
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            work = work or make_work()
            answer = None, work(job)
        except (Diff2LipError, ValueError, OSError, MemoryError) as error:
            answer = " ".join(str(error).split()) or type(error).__name__, None
        connection.send(answer)


def _end_with_parent() -> None:
    """A process that was killed cannot end its children; they do it themselves."""
    wait([parent_process().sentinel])
    os._exit(1)
