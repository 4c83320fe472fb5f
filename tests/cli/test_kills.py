"""Kills at random moments: nothing is lost, nothing is left over, and the result is that of an undisturbed run.

`DIFF2LIP_KILLS` sets how many kills each command gets, `DIFF2LIP_KILL_SEED` at which moments.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from helpers import fork_server
from helpers.batch_pairs import write_pairs
from helpers.prepare_films import write_talk
from helpers.training_sets import SETTINGS, write_training_set
from helpers.untrained import untrained_pipeline

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("DIFF2LIP_KILLS", "3"))
SEED = int(os.environ.get("DIFF2LIP_KILL_SEED", "0"))
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
PATIENCE_S = 600
# What a run writes about itself, which differs from run to run.
OWN = ("results.jsonl", "log.jsonl", ".diff2lip", "config.yaml", "training.yaml", "README.md", "checkpoints")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    untrained_pipeline(sample_size=16).save_pretrained(folder / "model")
    write_pairs(folder / "pairs", [8, 12, 6, 10])
    write_training_set(folder / "set", frames=(24, 24, 24))
    (folder / "films").mkdir()
    for name in "abc":
        write_talk(folder / "films" / f"{name}.mp4", 12)
    return folder


def _sync(inputs: Path, out: Path) -> list[str]:
    files = ["--video", f"{inputs}/pairs/face/01.mp4", "--audio", f"{inputs}/pairs/speech/01.wav"]
    return ["sync", *files, "--output", f"{out}/out.mp4", "--model", f"{inputs}/model", "--steps", "2"]


def _batch(inputs: Path, out: Path) -> list[str]:
    options = ["--output-dir", str(out), "--model", f"{inputs}/model", "--steps", "2"]
    return ["batch", f"{inputs}/pairs/pairs.txt", *options]


def _prepare(inputs: Path, out: Path) -> list[str]:
    return ["prepare", f"{inputs}/films", str(out), "--size", "32", "--min-seconds", "0.4"]


def _train(inputs: Path, out: Path) -> list[str]:
    settings = SETTINGS | {
        "data": f"{inputs}/set",
        "output": str(out),
        "max_train_steps": 12,
        "checkpointing_steps": 2,
    }
    return ["train", str(_written(out, settings))]


def _train_syncnet(inputs: Path, out: Path) -> list[str]:
    settings = {"data": f"{inputs}/set", "output": str(out), "max_train_steps": 12, "checkpointing_steps": 2}
    settings |= {"input_size": 48, "block_out_channels": [8] * 5, "embed_dim": 16, "clips_per_batch": 2}
    settings |= {"windows_per_clip": 2, "held_out_fraction": 0.0, "validation_steps": 0}
    return ["train-syncnet", str(_written(out, settings))]


def _written(out: Path, settings: dict) -> Path:
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(settings))
    return path


COMMANDS = {"sync": _sync, "batch": _batch, "prepare": _prepare, "train": _train, "train-syncnet": _train_syncnet}


def contents(out: Path) -> dict[str, str]:
    """A digest of each file that a command made."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    made = [path for path in files if not set(path.relative_to(out).parts) & set(OWN)]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in made}


def leftovers(out: Path) -> list[str]:
    state = out / ".diff2lip"
    found = [*state.glob("unfinished/*"), *state.glob("processes/*"), *state.glob(".*.part")]
    found += [path for path in out.rglob(".*") if path != state and state not in path.parents]
    return [str(path) for path in found]


def run_to_the_end(words: list[str]) -> float:
    start_s = time.monotonic()
    command = [sys.executable, "-m", "diff2lip_diffusers", *words]
    ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 0, ended.stderr
    return time.monotonic() - start_s


@pytest.fixture(scope="module")
def start():
    """Starts a command at once; gives its process."""
    server = subprocess.Popen(
        [sys.executable, fork_server.__file__],
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(words: list[str]) -> psutil.Process:
        print(json.dumps(words), file=server.stdin, flush=True)
        return psutil.Process(int(server.stdout.readline()))

    yield start
    server.stdin.close()
    server.wait()


def wait_for_end(process: psutil.Process) -> float:
    start_s = time.monotonic()
    psutil.wait_procs([process], PATIENCE_S)
    return time.monotonic() - start_s


def kill_tree(process: psutil.Process, chance: random.Random) -> int:
    """Kills a process with all of its children; sometimes it alone, which takes the children along."""
    family = [*process.children(recursive=True), process]
    for victim in family if chance.random() < 0.7 else [process]:
        victim.kill()
    assert psutil.wait_procs(family, 30)[1] == []
    return len(family)


@pytest.mark.parametrize("name", COMMANDS)
def test_kills_lose_nothing_and_leave_nothing(name, inputs, start, tmp_path):
    chance = random.Random(f"{name} {SEED}")
    for folder in ("calm", "killed"):
        (tmp_path / folder).mkdir()
    calm_s = wait_for_end(start(COMMANDS[name](inputs, tmp_path / "calm")))
    calm = contents(tmp_path / "calm")
    assert calm and not leftovers(tmp_path / "calm")
    hit = 0
    while hit < KILLS:
        process = start(COMMANDS[name](inputs, tmp_path / "killed"))
        time.sleep(chance.uniform(0, 1.1 * calm_s))
        if not process.is_running():
            shutil.rmtree(tmp_path / "killed")
            (tmp_path / "killed").mkdir()
            continue
        kill_tree(process, chance)
        hit += 1
        whole = {path: digest for path, digest in contents(tmp_path / "killed").items() if not path.startswith(".")}
        if name in ("sync", "batch"):  # each output is there whole, or not at all
            assert whole == {path: calm[path] for path in whole}
    run_to_the_end(COMMANDS[name](inputs, tmp_path / "killed"))
    print(f"\n{name}: {hit} kills at work, {calm_s:.1f} s undisturbed")
    assert contents(tmp_path / "killed") == calm
    assert leftovers(tmp_path / "killed") == []
