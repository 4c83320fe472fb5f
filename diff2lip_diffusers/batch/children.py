"""Child processes of a command: how they start, which signals reach them, and that they end with their parent."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess

import torch

from ..worker_processes import end_with_parent

# Signals that end a child politely, and those of job control.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
STOPPING = [getattr(signal, name) for name in ("SIGTSTP", "SIGCONT") if hasattr(signal, name)]


def process_context() -> ForkContext | SpawnContext:
    """Returns how to start a process. Where it is safe, a fork takes neither time nor memory."""
    # After a look for GPUs, their drivers do not survive a fork.
    forks = sys.platform == "linux" and not torch.accelerator.is_available()
    return get_context("fork") if forks else get_context("spawn")


@contextmanager
def started(processes: Sequence[BaseProcess]) -> Iterator[list[int]]:
    """Starts processes and passes signals on to them until the block ends; gives a list of those that end them.

    Each process has its own process group, so that Ctrl-C reaches it once: through here. It calls `begin_child` first.
    """
    told: list[int] = []

    def forward(number: int, _frame: object) -> None:
        if number in ENDING:
            told.append(number)
        tell(processes, signal.SIGSTOP if number in STOPPING[:1] else number)
        if number in STOPPING[:1]:
            os.kill(os.getpid(), signal.SIGSTOP)

    before = {number: signal.getsignal(number) for number in ENDING + STOPPING}
    signal.pthread_sigmask(signal.SIG_BLOCK, before)
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for process in processes:
            process.start()
        for number in before:
            signal.signal(number, forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, before)


def tell(processes: Sequence[BaseProcess], number: int) -> None:
    """Sends a signal to those processes that have not ended."""
    for process in processes:
        with suppress(ProcessLookupError):
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, number)


def begin_child() -> None:
    """Called first in a process that `started` starts."""
    os.setpgid(0, 0)
    for number in ENDING:
        signal.signal(number, signal.default_int_handler)
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING + STOPPING)
    end_with_parent()
