"""Pairs that end the process that makes them: they fail alone, and the batch goes on."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers.batch_pairs import decoded, logged, output_names, results, write_pairs
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.schedulers import original_scheduler

ACCELERATE = Path(sys.executable).with_name("accelerate")
PROGRAM = Path(__file__).parents[1] / "helpers" / "deadly_batch.py"
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
PATIENCE_S = 900


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pipe = untrained_pipeline(sample_size=16)
    pipe.scheduler = original_scheduler()
    pipe.save_pretrained(folder)
    return folder


def write_deadly(root: Path, count: int, deadly: dict[int, str]) -> list[str]:
    """Writes `count` pairs, some of which end their process; returns the names of all outputs."""
    lines = write_pairs(root, [6 + index % 5 for index in range(count)]).read_text().splitlines()
    for index, word in deadly.items():
        (root / "face" / f"{index:02d}.mp4").rename(root / "face" / f"{index:02d}_{word}.mp4")
        lines[index] += f"_{word}"
    (root / "pairs.txt").write_text("\n".join(lines) + "\n")
    return [name.replace(".mp4", f"_{deadly[index]}.mp4") if index in deadly else name
            for index, name in enumerate(output_names(count))]  # fmt: skip


def command(model: Path, root: Path, output_dir: Path, *options: str) -> list[str]:
    paths = ["--output-dir", str(output_dir), "--model", str(model)]
    arguments = [str(root / "pairs.txt"), *paths, "--steps", "1", "--box", "40,20,200,180"]
    return [str(PROGRAM), "batch", *arguments, *options]


def run(words: list[str], launched: bool = False, **options) -> subprocess.CompletedProcess:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    launch = [str(ACCELERATE), "launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", str(port)]
    start = launch if launched else [sys.executable]
    return subprocess.run(
        [*start, *words], env=ENVIRONMENT, text=True, capture_output=True, timeout=PATIENCE_S, **options
    )


def check_two_failed(folder: Path, names: list[str], deadly: dict[int, str]) -> None:
    records = {record["output"]: record for record in results(folder)}
    assert sorted(records) == sorted(names)
    failed = {name: records[name] for name in names if records[name]["status"] == "failed"}
    assert sorted(failed) == sorted(names[index] for index in deadly)
    for index, word in deadly.items():
        told = failed[names[index]]
        assert told["error_type"] == "ProcessDiedError" and told["settings"] and told["video"].endswith(f"{word}.mp4")
        assert ("SIGSEGV" if word == "segfault" else "memory runs out") in told["error"]
    good = {name for index, name in enumerate(names) if index not in deadly}
    assert set(decoded(folder)) == good
    assert not list(folder.glob(".diff2lip/processes/*.json")) and not list(folder.glob(".diff2lip/unfinished/*"))


@pytest.mark.slow
@pytest.mark.parametrize("start", ["alone", "launched", "processes"])
def test_ten_of_twelve_pairs_are_done_if_two_end_their_process(model, tmp_path, start):
    deadly = {4: "segfault", 7: "oom"}
    names = write_deadly(tmp_path / "pairs", 12, deadly)
    options = ["--processes", "2"] if start == "processes" else []
    ended = run(command(model, tmp_path / "pairs", tmp_path / "out", *options), start == "launched")
    assert ended.returncode == (1 if start == "launched" else 3), ended.stderr
    assert "10 pairs done, 2 failed" in ended.stdout
    if start == "launched":  # the launcher turns every exit code into 1, and tells that of the program
        assert "exitcode  : 3" in ended.stderr
    else:
        assert "Traceback" not in ended.stderr
    check_two_failed(tmp_path / "out", names, deadly)
    if start == "processes":
        assert len({record["process"] for record in results(tmp_path / "out")}) > 1
    again = run(command(model, tmp_path / "pairs", tmp_path / "out"))
    assert again.returncode == 3 and "10 pairs done, 2 failed" in again.stdout


def test_one_pair_that_ends_its_process_fails_alone(model, tmp_path):
    deadly = {1: "segfault"}
    names = write_deadly(tmp_path / "pairs", 3, deadly)
    ended = run(command(model, tmp_path / "pairs", tmp_path / "out", "--retries", "0"))
    assert ended.returncode == 3, ended.stderr
    check_two_failed(tmp_path / "out", names, deadly)
    assert [line for line in ended.stderr.splitlines() if "cores is used" not in line][-1].startswith("failed: ")
    assert len([record for record in logged(tmp_path / "out") if record["status"] == "done"]) == 2


@pytest.mark.slow
def test_parts_of_a_deadly_pair_fail_alone(model, tmp_path):
    deadly = {1: "segfault"}
    names = write_deadly(tmp_path / "pairs", 3, deadly)
    ended = run(command(model, tmp_path / "pairs", tmp_path / "out", "--split", "frames"))
    assert ended.returncode == 3, ended.stderr
    check_two_failed(tmp_path / "out", names, deadly)


@pytest.mark.slow
def test_a_killed_supervisor_takes_its_worker_along(model, tmp_path):
    write_deadly(tmp_path / "pairs", 12, {})
    words = command(model, tmp_path / "pairs", tmp_path / "out")
    process = subprocess.Popen([sys.executable, *words], env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("out/*.mp4")):
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 1
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, 5)[1] == []


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_each_worker_once(model, tmp_path, number, count):
    write_deadly(tmp_path / "pairs", 12, {})
    words = command(model, tmp_path / "pairs", tmp_path / "out", "--processes", str(count))
    process = subprocess.Popen([sys.executable, *words], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/*.mp4")):
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = [line for line in errors.splitlines() if "cores is used" not in line]
    assert lines == ["diff2lip batch: interrupted"] * count
    assert not list(tmp_path.glob("out/.diff2lip/processes/*.json"))
    assert not list(tmp_path.glob("out/.diff2lip/unfinished/*"))
