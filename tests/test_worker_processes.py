"""The functions that processes are given live here, so that these can import them."""

import os
import time

import psutil
import pytest

from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.worker_processes import run_in_processes


def make_square():
    return square


def square(number: int):
    if number == 13:
        raise MediaError("thirteen.mp4", "cannot be\nsquared")
    if number == 99:
        os._exit(9)
    return number**2, os.getpid()


@pytest.mark.slow
def test_jobs_are_shared_and_processes_end():
    found = list(run_in_processes(make_square, range(8), 2))
    assert sorted((job, result) for job, (result, _) in found) == [(n, n * n) for n in range(8)]
    processes = {process for _, (_, process) in found}
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes
    assert not any(psutil.pid_exists(process) for process in processes)


@pytest.mark.slow
def test_what_the_work_raises_comes_in_one_line():
    with pytest.raises(Diff2LipError, match="^thirteen.mp4: cannot be squared$"):
        list(run_in_processes(make_square, [1, 13, 2, 3], 1))


@pytest.mark.slow
def test_a_process_that_ends_without_a_word():
    before = set(psutil.Process().children())
    with pytest.raises(Diff2LipError, match="^99: its process died; memory may be short"):
        list(run_in_processes(make_square, [1, 99, 2], 2))
    deadline = time.monotonic() + 20
    while set(psutil.Process().children()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    names = [process.name() for process in set(psutil.Process().children()) - before]
    assert len(names) <= 1  # the tracker of shared resources stays
