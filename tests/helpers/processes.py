"""Processes that share a folder: real ones, or heartbeat files of a given age."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import diff2lip_diffusers

# The package without its __init__, which loads torch: the process starts fast, and shows that torch is not needed.
PREAMBLE = f"""
import sys, types
package = types.ModuleType("diff2lip_diffusers")
package.__path__ = {diff2lip_diffusers.__path__!r}
sys.modules["diff2lip_diffusers"] = package
"""


def start(script, *arguments) -> subprocess.Popen:
    command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def file_of(folder: Path, process_id: str) -> Path:
    return folder / "processes" / f"{process_id}.json"


def make_process(folder: Path, age_s: float, **changes) -> str:
    """Writes the heartbeat file of a process like this one but for the changes; returns its id."""
    mine = next((folder / "processes").glob(f"*-{os.getpid()}-*.json"))
    process_id = f"made-{len(list(mine.parent.iterdir()))}"
    file_of(folder, process_id).write_text(json.dumps(json.loads(mine.read_text()) | changes))
    set_age(file_of(folder, process_id), age_s)
    return process_id


def set_age(path: Path, age_s: float):
    os.utime(path, (time.time() - age_s,) * 2)
