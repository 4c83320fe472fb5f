import json
import socket
import subprocess
import sys

import pytest

from diff2lip_diffusers.batch.process_group import ProcessGroup

TELL = """
import json, sys, time
from pathlib import Path
from diff2lip_diffusers.batch.process_group import ProcessGroup

folder = Path(sys.argv[1])
group = ProcessGroup(cpu=True)
told = [group.from_main(number if group.is_main else 5) for number in (2**62, 0, -3)]
while not group.is_main and not (folder / "0.json").exists():
    time.sleep(0.01)
group.leave()
group.leave()
report = [group.index, group.size, group.is_main, group.device.type, told]
(folder / f".{group.index}").write_text(json.dumps(report))
(folder / f".{group.index}").rename(folder / f"{group.index}.json")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_one_process_alone_is_a_group():
    group = ProcessGroup(cpu=True)
    assert (group.index, group.size, group.is_main, group.device.type) == (0, 1, True, "cpu")


@pytest.mark.parametrize("number", [0, 7, -1, 2**53 + 1, 2**62, 2**63 - 1])
def test_a_process_alone_hears_from_itself(number):
    assert ProcessGroup(cpu=True).from_main(number) == number


def test_a_process_alone_may_leave_twice():
    group = ProcessGroup(cpu=True)
    group.leave()
    group.leave()
    assert ProcessGroup(cpu=True).from_main(3) == 3


@pytest.mark.slow
def test_two_processes_hear_the_same_and_leave_when_they_like(tmp_path):
    (tmp_path / "tell.py").write_text(TELL)
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [sys.executable, *launch, str(tmp_path / "tell.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    reports = [json.loads((tmp_path / f"{index}.json").read_text()) for index in range(2)]
    numbers = [2**62, 0, -3]
    assert reports == [[0, 2, True, "cpu", numbers], [1, 2, False, "cpu", numbers]]
