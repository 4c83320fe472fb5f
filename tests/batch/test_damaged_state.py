"""A batch whose files somebody damaged, removed or replaced: nothing is lost, and nothing ends in a traceback."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.batch_pairs import decoded, output_names, results, write_pairs
from helpers.commands import run_command
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import FaceBox, MediaError, Pair, PairListError, batch_status, read_pairs, sync_batch
from diff2lip_diffusers.batch import work_queue, workers
from diff2lip_diffusers.batch.clip_steps import ClipSteps
from diff2lip_diffusers.batch.folder import BatchFolder
from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.batch.journal import Journal
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.batch.output_checks import count_frames
from diff2lip_diffusers.batch.pair_records import DIED, DONE, FAILED, sort_by_time
from diff2lip_diffusers.batch.pairs import check_pairs
from diff2lip_diffusers.batch.work_queue import WorkQueue
from diff2lip_diffusers.detail.exemplars import Exemplar
from diff2lip_diffusers.lipsync.exemplar_windows import Stretch
from diff2lip_diffusers.lipsync.reference_faces import ReferenceFaces
from diff2lip_diffusers.schedulers import original_scheduler

COUNTS = [5, 6]
NAMES = output_names(2)
OPTIONS = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe():
    pipe = untrained_pipeline(sample_size=16)
    pipe.scheduler = original_scheduler()
    return pipe


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> list[Pair]:
    return read_pairs(write_pairs(tmp_path_factory.mktemp("data") / "root", COUNTS))


@pytest.fixture(scope="module")
def finished(pipe, pairs, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "out"
    assert sync_batch(pipe, pairs, folder, **OPTIONS).num_done == 2
    return folder


@pytest.fixture
def folder(finished, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(work_queue, "WAIT_S", 0.02)
    return shutil.copytree(finished, tmp_path / "out")


def made_at(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in NAMES}


def journal_of(folder: Path) -> Path:
    (path,) = folder.glob(".diff2lip/results/*.jsonl")
    return path


def made_again(pipe, pairs, folder: Path, **options) -> set[str]:
    """The outputs that a second call makes; all must be there and right at the end."""
    before = {name: (folder / name).stat().st_ino if (folder / name).is_file() else 0 for name in NAMES}
    assert sync_batch(pipe, pairs, folder, **OPTIONS, **options).num_done == 2
    assert [record["output"] for record in results(folder) if record["status"] == "done"] == NAMES
    return {name for name in NAMES if (folder / name).stat().st_ino != before[name]}


WRONG = [None, [], [1], True, 1e999]
TYPES = {"output": (7, {}), "status": (7, {}), "ended_s": ("x", {}), "settings": (7, "x"), "output_bytes": (-7, "x")}


@pytest.mark.parametrize("key", TYPES)
def test_records_of_wrong_types_are_left_out(pipe, pairs, folder, key):
    record = json.loads(journal_of(folder).read_text().splitlines()[0])
    with journal_of(folder).open("a") as file:
        file.writelines(json.dumps(record | {key: value}) + "\n" for value in (*WRONG, *TYPES[key]))
        file.write(json.dumps({"output": NAMES[1], "status": "failed", "error": 5}) + "\n[1]\n7\nnull\n")
    assert made_again(pipe, pairs, folder) == set()
    assert batch_status(folder).num_done == 2


def test_a_record_that_was_cut_short_means_that_its_output_is_made_again(pipe, pairs, folder, finished):
    text = journal_of(folder).read_bytes()
    journal_of(folder).write_bytes(text[:-40])
    lost = json.loads(text.splitlines()[1])["output"]
    assert made_again(pipe, pairs, folder) == {lost}
    assert decoded(folder) == decoded(finished)


def test_a_foreign_file_is_still_left_alone(pipe, pairs, folder):
    journal_of(folder).write_text("")
    for plan in folder.glob(".diff2lip/runs/*.json"):
        plan.unlink()
    with pytest.raises(MediaError, match="was not made by a batch"):
        sync_batch(pipe, pairs, folder, **OPTIONS)


@pytest.mark.parametrize(
    "plan",
    ["[]", "7", '{"started_s": "x"}', '{"started_s": 1, "num_processes": 1, "tries": 2, "sizes": [1]}', "[" * 9999],
)
def test_a_damaged_plan_is_one_line(folder, plan, capfd):
    newest = max(folder.glob(".diff2lip/runs/*.json"))
    (newest.with_name("99999999999999999999.json")).write_text(plan)
    (newest.with_name("0x.json")).write_text(plan)
    code, out, err = run_command(capfd, "status", str(folder))
    assert (code, out, len(err)) == (1, [], 1) and "is not a plan of this version" in err[0]


@pytest.mark.parametrize("content", ["[]", '{"process": 5, "key": []}', "7", "[" * 9999, "\x00"])
def test_damaged_leases_and_heartbeats_hold_nothing(pipe, pairs, folder, content):
    for path in (
        folder / ".diff2lip/leases" / f"{'0' * 32}.0" / "owner.json",
        folder / ".diff2lip/processes/x-1-a.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (1, 1))
    assert made_again(pipe, pairs, folder) == set()


@pytest.mark.parametrize("pid", [10**30, -5, "x", None, 1e999])
def test_a_heartbeat_with_an_odd_number_counts_as_dead_after_its_lease(tmp_path, pid):
    with Heartbeat(tmp_path) as process:
        path = tmp_path / "processes" / "odd-1-a.json"
        written = json.loads((tmp_path / "processes" / f"{process.id}.json").read_text())
        path.write_text(json.dumps(written | {"pid": pid}))
        os.utime(path, (1, 1))
        assert not process.is_alive("odd-1-a")


def test_an_output_that_was_cut_short_is_made_again(pipe, pairs, folder, finished):
    with (folder / NAMES[0]).open("r+b") as file:
        file.truncate(500)
    assert made_again(pipe, pairs, folder) == {NAMES[0]} or decoded(folder) == decoded(finished)
    assert decoded(folder) == decoded(finished)


def test_an_output_that_became_a_folder_fails_alone(pipe, pairs, folder):
    (folder / NAMES[0]).unlink()
    (folder / NAMES[0] / "mine").mkdir(parents=True)
    result = sync_batch(pipe, pairs, folder, **OPTIONS)
    assert (result.num_done, result.num_failed) == (1, 1)
    assert "a folder is in its place" in result.failures[0]["error"]
    assert (folder / NAMES[0] / "mine").is_dir()


def test_an_output_of_the_same_size_that_cannot_be_decoded_is_found_by_verify(pipe, pairs, folder, finished):
    path = folder / NAMES[1]
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") + 64
    content[place : place + 300] = bytes(300)
    path.write_bytes(content)
    assert count_frames(finished / NAMES[1]) == COUNTS[1]
    assert made_again(pipe, pairs, folder) == set()
    assert made_again(pipe, pairs, folder, verify=True) == {NAMES[1]} or decoded(folder) == decoded(finished)
    assert decoded(folder) == decoded(finished)


@pytest.mark.parametrize("lost", ["an output", "the folder"])
def test_outputs_that_are_removed_while_the_batch_runs_are_told(pipe, pairs, tmp_path, monkeypatch, lost):
    finish, first = WorkQueue.finish, []

    def finish_and_lose(queue, record):
        finish(queue, record)
        first.append(record["output"])
        if len(first) == 1 and lost == "the folder":
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
        elif len(first) == 1:
            (tmp_path / "out" / first[0]).unlink()

    monkeypatch.setattr(WorkQueue, "finish", finish_and_lose)
    with pytest.raises(MediaError, match=r"1 outputs were removed or changed .* such as \S+\.mp4; start it again"):
        sync_batch(pipe, pairs, tmp_path / "out", **OPTIONS)
    monkeypatch.undo()
    assert not (tmp_path / "out" / first[0]).exists() and (tmp_path / "out" / first[1]).is_file()
    assert made_again(pipe, pairs, tmp_path / "out") == {first[0]}


def test_failures_of_a_clock_that_was_ahead_are_retried(pipe, pairs, folder):
    (folder / NAMES[0]).unlink()
    journal = Journal(folder / ".diff2lip", "other-1-a")
    for _ in range(2):
        journal.append({"output": NAMES[0], "status": FAILED, "ended_s": time.time() + 1e8, "error": "no"})
    assert sync_batch(pipe, pairs, folder, **OPTIONS).num_failed == 1
    assert made_again(pipe, pairs, folder, retry_failed=True) == {NAMES[0]}


def test_names_that_differ_in_unicode_normalization_alone_are_one(tmp_path):
    composed, apart = "\u00e9.mp4", "e\u0301.mp4"
    with pytest.raises(PairListError, match="gives the same output"):
        check_pairs([Pair(tmp_path, None, composed), Pair(tmp_path, None, apart)])
    (tmp_path / apart).touch()
    assert BatchFolder(tmp_path).existing([composed]) == {composed}


BOXES = {"numbers": [0, 1], "tracks": [[[1, 2, 30, 40], None]]}


@pytest.mark.parametrize(
    "change", [{"numbers": 5}, {"numbers": ["x"]}, {"tracks": [5]}, {"tracks": [[[1, 2]]]}, {"tracks": [["abcd"]]}]
)
def test_damaged_boxes_of_a_split_clip_are_removed(tmp_path, change):
    steps = ClipSteps(tmp_path / "clip")
    steps.write("boxes-000000.json", BOXES)
    assert steps.boxes_of(0) == ([0, 1], [(FaceBox(1, 2, 30, 40),), (None,)])
    steps.write("boxes-000000.json", BOXES | change)
    with pytest.raises(MediaError, match="was damaged; the steps of this clip are removed"):
        steps.boxes_of(0)
    assert not steps.folder.exists() and steps.names() == set()


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", None])
def test_damaged_arrays_of_a_split_clip_are_removed(tmp_path, content):
    steps, crop = ClipSteps(tmp_path / "clip"), np.full((4, 4, 3), 7, np.uint8)
    stretch = Stretch([3], [(FaceBox(1, 2, 30, 40),)], [[Exemplar(3, crop, crop)]])
    for name, read in (("references.npz", steps.references), ("exemplars-000000.npz", lambda: steps.exemplars_in(0))):
        steps.write_references(ReferenceFaces([crop], True))
        steps.write_stretch(0, stretch, True)
        assert read() is not None
        path = steps.folder / name
        path.write_bytes(path.read_bytes()[:-30] if content is None else content)
        with pytest.raises(MediaError, match="was damaged; the steps of this clip are removed"):
            read()
        assert not steps.folder.exists()


# Deaths


def queue_for(folder: Path, process: Heartbeat, tries: int = 2) -> WorkQueue:
    pairs = [Pair(Path(name), None, name) for name in "abc"]
    leases, journal = Leases(folder, process), Journal(folder, process.id)
    return WorkQueue(pairs, dict.fromkeys("abc", 1), lambda sizes: set(sizes), leases, journal, tries)


def test_suspects_come_last_and_by_themselves(tmp_path):
    log = Journal(tmp_path, "supervisor")
    for output in "ab":
        log.append({"output": output, "status": DIED, "process": "dead", "num_suspects": 2, "ended_s": 1})
    with Heartbeat(tmp_path) as process:
        queue = queue_for(tmp_path, process)
        assert [queue.take().output, queue.take()] == ["c", None]
        assert queue.take(suspect=True).output == "a"
        queue.finish({"output": "a", "status": DONE, "ended_s": 2})
        assert queue.take(suspect=True).output == "b"
        assert queue.counts() == (1, 0, 2)


def test_deaths_that_nobody_saw_count_once_each(tmp_path):
    log = Journal(tmp_path, "later")
    for process, number in [("p1", 1), ("p2", 1), ("p3", 2)]:
        log.append({"output": "a", "status": DIED, "process": process, "num_suspects": number, "ended_s": 2})
    seen = {"output": "b", "status": FAILED, "process": "p4", "error": "killed", "error_type": "ProcessDiedError"}
    log.append(seen | {"ended_s": 1})
    log.append({"output": "b", "status": DIED, "process": "p4", "num_suspects": 1, "ended_s": 2})
    with Heartbeat(tmp_path) as process:
        queue = queue_for(tmp_path, process)
        assert [queue.unseen_deaths(Pair(Path(name), None, name)) for name in "abc"] == [2, 0, 0]
        assert queue.is_suspect(Pair(Path("b"), None, "b")) and queue.failures_by_output() == {"b": 1}


def test_a_pair_whose_processes_died_too_often_fails_without_another_try(pipe, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr(work_queue, "WAIT_S", 0.02)
    log = Journal(tmp_path / ".diff2lip", "dead")
    for number in range(2 * workers.UNSEEN_DEATHS):
        death = {"output": NAMES[0], "status": DIED, "process": f"p{number}", "num_suspects": 1, "ended_s": number}
        log.append(death)
    result = sync_batch(pipe, pairs, tmp_path, retries=0, **OPTIONS)
    assert (result.num_done, result.num_failed) == (1, 1)
    assert result.failures[0]["error_type"] == "ProcessDiedError" and not (tmp_path / NAMES[0]).exists()


def test_a_killed_holder_makes_its_pair_a_suspect_and_a_polite_one_does_not(tmp_path):
    with Heartbeat(tmp_path) as killed, Heartbeat(tmp_path) as polite, Heartbeat(tmp_path) as process:
        assert Leases(tmp_path, killed).take("a") and Leases(tmp_path, polite).take("b")
        polite.__exit__(None, None, None)
        file = tmp_path / "processes" / f"{killed.id}.json"
        killed._leaving.set()
        file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": 2**22 + 1}))
        assert Leases(tmp_path, process).left_by_killed() == {"a"}
        assert Leases(tmp_path, process).keys_of([killed.id]) == {killed.id: {"a"}}


def test_sorting_leaves_out_what_is_no_record_of_a_pair():
    good = {"output": "a", "status": "done", "ended_s": 5}
    assert sort_by_time([{"status": "done"}, {"output": "a", "status": []}, good, {**good, "ended_s": "x"}]) == [good]
