"""The start of the program: its help and version come at once, and Ctrl-C while it loads is one line."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import diff2lip_diffusers
from diff2lip_diffusers.cli.commands import COMMANDS, overview_parser
from diff2lip_diffusers.cli.program import build_parser

REPOSITORY = Path(diff2lip_diffusers.__file__).parents[1]
START = [sys.executable, str(REPOSITORY / "diff2lip_command.py")]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "80"}
MAX_CPU_S = 1.5


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_every_command_is_listed():
    subparsers = next(action for action in build_parser()._actions if action.dest == "command")
    assert {choice.dest: choice.help for choice in subparsers._choices_actions} == COMMANDS


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--help"], 0, "measure lip-synced videos of any system"),
        (["-h"], 0, "usage: diff2lip"),
        (["--version"], 0, "diff2lip-diffusers "),
        ([], 2, "diff2lip: the following arguments are required: COMMAND (see diff2lip --help)"),
    ],
)
def test_help_and_version_come_at_once(arguments, code, expected):
    before = children_cpu_s()
    done = subprocess.run([*START, *arguments], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == code
    assert expected in done.stdout + done.stderr
    assert children_cpu_s() - before < MAX_CPU_S


def test_the_help_is_that_of_the_whole_program():
    assert overview_parser().format_help() == build_parser().format_help()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="sees by /proc that the process loads torch")
def test_ctrl_c_while_things_load_is_one_line(tmp_path):
    process = subprocess.Popen(
        [*START, "status", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where tests run
    )
    deadline = time.monotonic() + 300
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "diff2lip: interrupted\n")
