"""The fuzzer itself: it sees what goes wrong, and the same seed gives the same cases."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from fuzz.__main__ import faults_of
from fuzz.cases import Case, CaseMaker, drawn_values
from fuzz.limited_process import Ended, LimitedProcess
from fuzz.mutations import mutated

LIMIT_S = 1.5
# What a case may take here beyond what a forked process begins with: most of what this one holds.
SPARE_BYTES = 200 << 20


def crash() -> int:
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def hang() -> int:
    time.sleep(60)
    return 0


def end_with(code: int, text: str = "reason"):
    def run() -> int:
        os.write(2, text.encode())
        return code

    return run


def leave(name: str, code: int):
    def run() -> int:
        Path(name).write_bytes(b"half")
        return end_with(code)()

    return run


def take(size: int):
    def run() -> int:
        bytearray(os.urandom(1 << 20)) * (size >> 20)
        return end_with(1)()

    return run


def wait_for(process: LimitedProcess) -> Ended:
    while (ended := process.ended()) is None:
        time.sleep(0.01)
    return ended


@pytest.mark.parametrize(
    ("run", "faults"),
    [
        (end_with(1), []),
        (end_with(2), []),
        (end_with(1, ""), ["no reason"]),
        (end_with(9), ["exit code"]),
        (lambda: 1 // 0, ["traceback"]),
        (crash, ["crash"]),
        (hang, ["hang"]),
        (take(2 * SPARE_BYTES), ["memory"]),
        (leave("out.mp4", 1), ["half file"]),
        (leave(".out.x", 1), ["leftover"]),
    ],
)
def test_faults_are_seen(tmp_path, monkeypatch, run, faults):
    (tmp_path / "idle").mkdir()
    idle = wait_for(LimitedProcess(end_with(0), tmp_path / "idle", LIMIT_S))
    monkeypatch.setattr("fuzz.__main__.MAX_BYTES", idle.peak_bytes + SPARE_BYTES)
    process = LimitedProcess(run, tmp_path, LIMIT_S)
    ended = wait_for(process)
    assert faults_of(Case("video", []), tmp_path, ended) == faults


def compute() -> int:
    end = time.process_time() + LIMIT_S / 3
    while time.process_time() < end:
        pass
    return 0


def test_time_in_line_for_a_core_is_no_hang(tmp_path):
    """Five processes on one core take more than the limit together, but none of them by itself."""
    core = min(os.sched_getaffinity(0))

    def on_one_core() -> int:
        os.sched_setaffinity(0, {core})
        return compute()

    processes = []
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        processes.append(LimitedProcess(on_one_core, tmp_path / str(number), LIMIT_S))
    ended = [wait_for(process) for process in processes]
    assert max(one.seconds for one in ended) > LIMIT_S
    assert [(one.exit_code, one.is_overdue) for one in ended] == [(0, False)] * 5


def test_the_same_seed_gives_the_same_cases(tmp_path):
    assert str(drawn_values(5, 20)) == str(drawn_values(5, 20)) != str(drawn_values(6, 20))
    seeds = tmp_path / "seeds"
    (seeds / "audio").mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (seeds / "audio" / name).write_bytes(name.encode() * 500)
    made = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        case = CaseMaker(seeds, 3, [None]).make(1, folder)
        assert case.kind == "audio"
        made.append((case.arguments, (folder / "in.wav").read_bytes()))
    assert made[0] == made[1]


def test_damage_changes_bytes():
    rng = random.Random(1)
    data = bytes(range(256)) * 20
    assert sum(mutated(data, rng, [data]) != data for _ in range(50)) > 45
