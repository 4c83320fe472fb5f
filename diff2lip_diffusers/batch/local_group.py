"""Processes on this machine that share a batch, without a launcher: the exit code of the main one is that of all.

`accelerate launch` cannot pass an exit code on: it raises an exception where a process ends with another one than 0.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from .children import begin_child, process_context, started, tell

# A signal may reach a thread that is not Python's, so the parent looks up this often.
LOOK_UP_S = 0.5
# Once the main process has ended, nothing is left to do for the others: after this time they are told to end.
GRACE_S = 30


def run_group(work: Callable[[Any], int], arguments: Any, count: int) -> int:
    """Runs work in so many processes, which find each other as those of a launcher do.

    If one fails before the main process ends, the others are told to end, too.

    Args:
        work: what each process does; with `arguments`, picklable.
        arguments: its argument.
        count: number of processes.

    Returns:
        The exit code of the process that failed first, or 0; 128 and the number for a signal.

    Raises:
        ValueError: a launcher started this process, or the system has no process groups.
    """
    if "LOCAL_RANK" in os.environ or not hasattr(os, "setpgid"):
        reason = "is for one machine with Linux or macOS, without a launcher; leave it out"
        raise ValueError(f"--processes {count} {reason}")
    context, port = process_context(), _free_port()
    processes = [context.Process(target=_serve, args=(work, arguments, rank, count, port)) for rank in range(count)]
    with started(processes) as told:
        failed = _first_failure(processes)
        if failed is not None and not told:
            if failed is processes[0]:
                for process in processes:
                    process.join(GRACE_S)
            tell(processes, signal.SIGTERM)
        for process in processes:
            process.join()
    code = 0 if failed is None else failed.exitcode or 0
    return code if code >= 0 else 128 - code


def _first_failure(processes: Sequence[BaseProcess]) -> BaseProcess | None:
    """Waits until a process fails, or all have ended; returns the one that failed."""
    running = {process.sentinel: process for process in processes}
    while running:
        for sentinel in wait(list(running), LOOK_UP_S):
            process = running.pop(sentinel)  # pyright: ignore[reportArgumentType]  # sentinels are numbers
            process.join()
            if process.exitcode:
                return process
    return None


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def _serve(work: Callable[[Any], int], arguments: Any, rank: int, count: int, port: int) -> None:
    """Runs in each process."""
    begin_child()
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    sys.exit(work(arguments))
