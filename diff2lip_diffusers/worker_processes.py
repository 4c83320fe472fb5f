"""Worker processes on this machine: an idle one gets the next job; all end with their parent."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import torch

from .errors import Diff2LipError


def run_jobs(make_work: Callable[[], Callable], jobs: Sequence[Any], workers: int) -> Iterator[Any]:
    """Runs jobs in worker processes, or in this one where one is enough; yields each result as soon as it is there.

    Each process computes with one thread, because results depend on the number of threads. Several workers need
    picklable `make_work`, jobs and results, and an `if __name__ == "__main__"` guard in the calling program.

    Args:
        make_work: called once in each process; returns the function that does one job.
        jobs: jobs to run.
        workers: the most processes that run at a time.

    Raises:
        Diff2LipError: if a job raises an error in a worker process, as one line; or if a process died.
    """
    if min(workers, len(jobs)) > 1:
        for _, result in run_in_processes(make_work, jobs, min(workers, len(jobs))):
            yield result
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from map(make_work(), jobs)
    finally:
        torch.set_num_threads(threads)


def run_in_processes(make_work: Callable[[], Callable], jobs: Iterable[Any], count: int) -> Iterator[tuple[Any, Any]]:
    """Runs jobs in worker processes; yields each job with its result as soon as it ends.

    `make_work`, jobs and results must be picklable. The calling program needs an `if __name__ == "__main__"` guard.

    Args:
        make_work: called once in each process; returns the function that does one job.
        jobs: jobs to run.
        count: number of processes; each computes with one thread.

    Raises:
        Diff2LipError: if a job raises an error, with its message in one line; or if a process died.
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
            for ready in wait(list(busy)):
                connection = cast(Connection, ready)
                job = busy.pop(connection)
                result = _receive(connection, job)
                idle.append(connection)
                yield job, result


@contextmanager
def _worker(make_work: Callable[[], Callable]) -> Iterator[Connection]:
    """Starts a process and gives a connection to it; terminates it at the end of the block."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_work), daemon=True)
    process.start()
    theirs.close()
    try:
        yield cast(Connection, ours)  # a PipeConnection on Windows
    finally:
        process.terminate()
        process.join()
        ours.close()


def _send(connection: Connection, job: Any) -> None:
    try:
        connection.send(job)
    except OSError as error:
        raise Diff2LipError(f"{job}: its process died; memory may be short; try fewer workers") from error


def _receive(connection: Connection, job: Any) -> Any:
    try:
        error, result = connection.recv()
    except (EOFError, OSError) as error:
        raise Diff2LipError(f"{job}: its process died; memory may be short; try fewer workers") from error
    if error is not None:
        raise Diff2LipError(error)
    return result


def _serve(connection: Connection, make_work: Callable[[], Callable]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends the others
    end_with_parent()
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


def end_with_parent() -> None:
    """Makes this process end when its parent ends; a parent that was killed cannot end its children."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
