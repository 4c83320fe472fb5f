"""Whole batches through the command line: by several processes, machines and calls at a time; killed, interrupted and
with inputs that cannot be used."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.batch_pairs import decoded, logged, output_names, results, write_pairs
from helpers.face_videos import WOMAN, on_background, other_person, write_speech, write_video
from helpers.recorded import make_pipeline
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.schedulers import original_scheduler

pytestmark = pytest.mark.slow

ACCELERATE = Path(sys.executable).with_name("accelerate")
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # more processes than GPUs, and alike on every machine
UNEQUAL_COUNTS = [*range(12, 60, 2)]
SHORT_COUNTS = [*range(12, 32)] * 2
SEED = 20240607
PATIENCE_S, GRACE_S = 300, 30
HINT = "cores is used"


@dataclass(frozen=True)
class Batch:
    """A batch to run: its list, its model and the options that it is run with."""

    pairs: Path
    model: Path
    options: tuple[str, ...] = ()

    def command(self, output_dir: Path, *options: str) -> list[str]:
        arguments = [str(self.pairs), "--output-dir", str(output_dir), "--model", str(self.model)]
        return [sys.executable, "-m", "diff2lip_diffusers", "batch", *arguments, *self.options, *options]


@dataclass(frozen=True)
class Undisturbed:
    """What one process makes of a batch that nobody disturbs, and its seconds until it works and at work."""

    outputs: dict[str, str]
    starting_s: float
    working_s: float


def launched(command: list[str], count: int, *options: str, port: int | None = None) -> list[str]:
    """The same command in processes that accelerate launches."""
    common = ["--num_processes", str(count), "--main_process_port", str(port or free_port()), *options]
    return [str(ACCELERATE), "launch", "--multi_gpu", *common, *command[1:]]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def start(command: list[str], **options) -> subprocess.Popen:
    return subprocess.Popen(command, env=ENVIRONMENT, text=True, start_new_session=True, **options)


def finish(process: subprocess.Popen, expected: int = 0) -> tuple[str, str]:
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == expected, errors
    return out, errors


def run(command: list[str], expected: int = 0) -> tuple[str, str]:
    """What a command says on its two streams, if it ends with the expected exit code."""
    return finish(start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE), expected)


def run_undisturbed(batch: Batch, folder: Path) -> Undisturbed:
    start_s = time.monotonic()
    process = start(batch.command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: work_in(folder), process)
    working_since_s = time.monotonic()
    finish(process)
    return Undisturbed(decoded(folder), working_since_s - start_s, time.monotonic() - working_since_s)


def wait_until(is_so: Callable[[], object], process: subprocess.Popen) -> None:
    """Returns when something is so, or the process has ended."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so() and process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.0005)


def work_in(folder: Path) -> set[str]:
    """The processes that make something in a folder of outputs, or have died of it."""
    return {path.name for path in folder.glob(".diff2lip/unfinished/*")}


def started_for(folder: Path) -> list[psutil.Process]:
    """The processes whose command names a folder, or something in it."""
    found = psutil.process_iter(["cmdline"])
    return [other for other in found if any(part.startswith(str(folder)) for part in other.info["cmdline"] or ())]


def videos_in(folder: Path) -> set[str]:
    return {name for name in os.listdir(folder) if name.endswith(".mp4")}


def identities(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """What changes of files that are written anew."""
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


def done_once(records: Iterable[dict]) -> list[str]:
    """The outputs of records, if all say that they are done, and each does once."""
    records = sorted(records, key=lambda record: record["output"])
    assert {record["status"] for record in records} <= {"done"}
    return [record["output"] for record in records]


def show_idle_shares(title: str, records: list[dict]) -> None:
    """Prints which part of the time from the first start to the last end each process had no pair."""
    first_s, last_s = min(r["started_s"] for r in records), max(r["ended_s"] for r in records)
    shares = {}
    for process in sorted({(r["process_index"], r["process"]) for r in records}):
        spans = sorted((r["started_s"], r["ended_s"]) for r in records if r["process"] == process[1])
        busy_s, end_s = 0.0, first_s
        for started_s, ended_s in spans:
            busy_s += max(0.0, ended_s - max(started_s, end_s))
            end_s = max(end_s, ended_s)
        shares[process] = 1 - busy_s / (last_s - first_s)
    idle = ", ".join(f"{index}: {share:.1%}" for (index, _), share in shares.items())
    print(f"\n{title}: {last_s - first_s:.0f} s; idle {idle}")


@pytest.fixture(autouse=True)
def nothing_runs_on(tmp_path):
    yield
    for other in started_for(tmp_path):
        other.kill()


@pytest.fixture(scope="module")
def batch(tmp_path_factory) -> Batch:
    """24 pairs of unequal length and the tiny checkpoint."""
    folder = tmp_path_factory.mktemp("batch")
    make_pipeline("tiny").save_pretrained(folder / "model")
    return Batch(write_pairs(folder / "pairs", UNEQUAL_COUNTS), folder / "model", ("--steps", "1"))


@pytest.fixture(scope="module")
def alone(batch, tmp_path_factory) -> dict[str, str]:
    """What one process makes of them."""
    return run_undisturbed(batch, tmp_path_factory.mktemp("alone")).outputs


@pytest.fixture(scope="module")
def fast_batch(tmp_path_factory) -> Batch:
    """40 short pairs and a model that is even smaller."""
    folder = tmp_path_factory.mktemp("fast_batch")
    pipe = untrained_pipeline(sample_size=16)
    pipe.scheduler = original_scheduler()
    pipe.save_pretrained(folder / "model")
    return Batch(write_pairs(folder / "pairs", SHORT_COUNTS), folder / "model", ("--steps", "2"))


@pytest.fixture(scope="module")
def fast_alone(fast_batch, tmp_path_factory) -> Undisturbed:
    """What one process makes of them."""
    return run_undisturbed(fast_batch, tmp_path_factory.mktemp("fast_alone"))


# Many at a time


@pytest.mark.parametrize("count", [2, 4])
def test_more_processes_make_the_same(batch, alone, tmp_path, count):
    run(launched(batch.command(tmp_path), count))
    assert decoded(tmp_path) == alone
    assert done_once(results(tmp_path)) == done_once(logged(tmp_path)) == output_names(24)
    assert {record["process_index"] for record in results(tmp_path)} == set(range(count))
    show_idle_shares(f"{count} processes", results(tmp_path))


def test_two_processes_sharpen_a_clip_as_one_does(fast_batch, tmp_path):
    pairs = write_pairs(tmp_path / "pairs", [160])  # two stretches
    outputs = []
    for name, detail in (("one", "video"), ("two", "video"), ("plain", "none")):
        options = (*fast_batch.options, "--lossless", "--split", "frames", "--detail", detail)
        command = Batch(pairs, fast_batch.model, options).command(tmp_path / name)
        run(launched(command, 2) if name == "two" else command)
        outputs.append((tmp_path / name / output_names(1)[0]).read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


def test_two_machines_make_the_same(batch, alone, tmp_path):
    port = free_port()
    machines = [
        ("--num_machines", "2", "--machine_rank", str(rank), "--main_process_ip", "127.0.0.1") for rank in (0, 1)
    ]
    commands = [launched(batch.command(tmp_path), 2, *machine, port=port) for machine in machines]
    processes = [start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
    said = [finish(process)[0] for process in processes]
    assert [out.count("24 pairs done") for out in said] == [1, 0]
    assert decoded(tmp_path) == alone
    assert done_once(results(tmp_path)) == done_once(logged(tmp_path)) == output_names(24)
    assert {record["process_index"] for record in results(tmp_path)} == {0, 1}
    show_idle_shares("2 machines", results(tmp_path))


def test_two_calls_on_one_folder_share_the_work(batch, alone, tmp_path):
    command = batch.command(tmp_path)
    processes = [start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    assert ["24 pairs done" in finish(process)[0] for process in processes] == [True, True]
    assert decoded(tmp_path) == alone
    assert done_once(results(tmp_path)) == done_once(logged(tmp_path)) == output_names(24)
    assert len({record["process"] for record in results(tmp_path)}) == 2
    show_idle_shares("2 calls", results(tmp_path))


# Killed and interrupted


def while_it_starts(process, folder, chance, pace):
    time.sleep(chance.uniform(0, pace.starting_s))
    return started_for(folder)


def as_a_pair_starts(process, folder, chance, pace):
    before = work_in(folder)
    wait_until(lambda: work_in(folder) - before, process)
    return started_for(folder)


def at_work(process, folder, chance, pace):
    as_a_pair_starts(process, folder, chance, pace)
    time.sleep(chance.uniform(0, pace.working_s / 12))
    return started_for(folder)


def as_an_output_appears(process, folder, chance, pace):
    found, before = as_a_pair_starts(process, folder, chance, pace), videos_in(folder)
    wait_until(lambda: videos_in(folder) - before, process)
    return found


def as_a_record_appears(process, folder, chance, pace):
    found, before = as_a_pair_starts(process, folder, chance, pace), len(logged(folder))
    wait_until(lambda: len(logged(folder)) > before, process)
    return found


MOMENTS = [
    *[while_it_starts] * 5,
    *[as_a_pair_starts] * 3,
    *[at_work] * 6,
    *[as_an_output_appears] * 3,
    *[as_a_record_appears] * 3,
]


def kill_some(process: subprocess.Popen, folder: Path, found: list[psutil.Process], chance: random.Random) -> str:
    """Kills one worker at a folder of outputs, or all processes; the launcher is to end the others of one."""
    workers = [other for other in found if other.pid != process.pid] or found
    victims = found if chance.random() < 0.5 else [chance.choice(workers)]
    for victim in victims:
        victim.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    rest = started_for(folder)
    for other in rest:
        other.kill()
    process.wait()
    return f"{len(victims)} of {len(found)} killed, {len(rest)} left over"


def test_kills_at_any_moment_cost_only_what_was_in_the_making(fast_batch, fast_alone, tmp_path):
    names, chance = output_names(40), random.Random(SEED)
    done: dict[str, tuple[int, int]] = {}
    for index, moment in enumerate(chance.sample(MOMENTS, 20)):
        command = fast_batch.command(tmp_path)
        process = start(
            launched(command, 2) if index % 2 else command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        found = moment(process, tmp_path, chance, fast_alone)
        assert process.poll() is None, "ended before it was killed"
        killed = kill_some(process, tmp_path, found, chance)
        there = decoded(tmp_path)
        assert there == {name: fast_alone.outputs[name] for name in there}
        recorded = done_once(logged(tmp_path))
        assert not (tmp_path / "results.jsonl").exists() or set(done_once(results(tmp_path))) <= set(recorded)
        done = identities(tmp_path / name for name in recorded) | done
        print(f"\nkill {index + 1} {moment.__name__}: {killed}; {len(there)} there, {len(recorded)} recorded", end="")

    run(fast_batch.command(tmp_path))
    assert decoded(tmp_path) == fast_alone.outputs
    assert done_once(results(tmp_path)) == done_once(logged(tmp_path)) == names
    assert identities(tmp_path / name for name in done) == done
    assert {path.name for path in tmp_path.iterdir()} == {*names, "results.jsonl", ".diff2lip"}
    assert not work_in(tmp_path) and not list(tmp_path.glob(".diff2lip/processes/*.json"))


def test_an_interrupted_batch_goes_on_where_it_was(fast_batch, fast_alone, tmp_path):
    process = start(fast_batch.command(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_until(lambda: len(videos_in(tmp_path)) >= 3, process)
    process.send_signal(signal.SIGINT)
    out, errors = finish(process, expected=130)
    assert out == "" and [line for line in errors.splitlines() if HINT not in line] == ["diff2lip batch: interrupted"]
    before = identities(tmp_path.glob("*.mp4"))
    assert done_once(results(tmp_path)) == sorted(before) and not work_in(tmp_path)
    run(fast_batch.command(tmp_path))
    assert identities(tmp_path / name for name in before) == before
    assert decoded(tmp_path) == fast_alone.outputs
    assert done_once(logged(tmp_path)) == output_names(40)


# Inputs that cannot be used


def spoil(root: Path) -> dict[str, str]:
    """Spoils four of the inputs; returns why their outputs cannot be made, by name."""
    wall = on_background([], 320, 288)
    write_video(root / "face/03.mp4", [np.roll(wall, shift, axis=1) for shift in range(15)])
    (root / "face/08.mp4").write_bytes((root / "face/08.mp4").read_bytes()[:500])
    (root / "speech/13.wav").unlink()
    shutil.copy(root / "face/18.mp4", root / "speech/18.wav")
    reasons = {
        3: "no face found in any frame with speech; set a fixed box x1,y1,x2,y2 (--box)",
        8: f"{root}/face/08.mp4: is not a video or audio file (End of file); convert or download it again",
        13: f"{root}/speech/13.wav: no such file; check the path",
        18: f"{root}/speech/18.wav: has no audio stream; pass a file with audio",
    }
    return {output_names(24)[index]: reason for index, reason in reasons.items()}


def test_bad_pairs_fail_alone_until_they_are_mended(fast_batch, fast_alone, tmp_path):
    root, outputs = tmp_path / "pairs", tmp_path / "outputs"
    shutil.copytree(fast_batch.pairs.parent, root)
    lines = fast_batch.pairs.read_text().splitlines()[:24]
    (root / "pairs.txt").write_text("\n".join(lines))
    reasons = spoil(root)
    good = {name: fast_alone.outputs[name] for name in output_names(24) if name not in reasons}
    command = Batch(root / "pairs.txt", fast_batch.model, fast_batch.options).command(outputs)

    first = run(command, expected=3)
    before, count = identities(outputs.glob("*.mp4")), len(logged(outputs))
    assert count == 20 + 2 * 4  # each is tried again once
    again = run(command, expected=3)
    assert identities(outputs.glob("*.mp4")) == before and len(logged(outputs)) == count
    for out, errors in (first, again):
        assert out == f"{outputs}: 20 pairs done, 4 failed; see {outputs}/results.jsonl\n"
        missing = f"{root}/speech/13.wav: cannot be read: No such file or directory"
        assert [line for line in errors.splitlines() if HINT not in line] == [
            f"1 of 24 pairs have files that cannot be read, and will fail; the first: line 14: {missing}",
            *(f"failed: {name}: {reason}" for name, reason in reasons.items()),
        ]
    assert decoded(outputs) == good
    assert {r["output"]: r["error"] for r in results(outputs) if r["status"] == "failed"} == reasons
    assert done_once(r for r in results(outputs) if r["output"] not in reasons) == sorted(good)

    shutil.copytree(fast_batch.pairs.parent, root, ignore=lambda *_: ["pairs.txt"], dirs_exist_ok=True)
    run([*command, "--retry-failed"])
    assert decoded(outputs) == {name: fast_alone.outputs[name] for name in output_names(24)}
    assert done_once(results(outputs)) == output_names(24)
    assert identities(outputs / name for name in before) == before


def test_a_killed_dialogue_is_taken_up_again(fast_batch, tmp_path):
    root = tmp_path / "dialogue"
    root.mkdir()
    people = [
        on_background([(WOMAN, 20 + number % 2, 60), (other_person(), 340, 60 + number % 3)]) for number in range(150)
    ]
    write_video(root / "two.mp4", people)
    for name, seconds in (("anna", 3), ("ben", 4)):
        write_speech(root / f"{name}.wav", seconds)
    (root / "parts.csv").write_text("start,audio,face\n0,anna.wav,0\n2,ben.wav,1\n")
    (root / "pairs.csv").write_text("video,segments,output\ntwo.mp4,parts.csv,out.mp4\n")
    options = ("--steps", "2", "--split", "frames", "--detail", "video", "--reference", "best", "--lossless")
    dialogue = Batch(root / "pairs.csv", fast_batch.model, options)
    run(dialogue.command(tmp_path / "whole"))
    folder = tmp_path / "killed"
    process = start(dialogue.command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: [*folder.glob(".diff2lip/split/*/part-*.json")], process)
    for other in started_for(folder):
        other.kill()
    process.wait()
    assert not (folder / "out.mp4").exists()
    run(launched(dialogue.command(folder), 2))
    assert (folder / "out.mp4").read_bytes() == (tmp_path / "whole" / "out.mp4").read_bytes()
