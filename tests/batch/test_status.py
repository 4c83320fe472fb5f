import os
import time
from contextlib import contextmanager

import pytest

from diff2lip_diffusers.batch.folder import BatchFolder, BatchPlan
from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.batch.journal import Journal
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.batch.status import BatchStatus, batch_status
from diff2lip_diffusers.errors import MediaError

SIZES = {"a.mp4": 100, "b.mp4": 300, "c.mp4": 600}


@pytest.fixture
def folder(tmp_path):
    return BatchFolder(tmp_path / "out")


def plan(folder: BatchFolder, started_s: float, sizes: dict[str, int] = SIZES):
    """Starts a run."""
    run = folder.write_plan(BatchPlan(started_s, 1, 2, sizes))
    # Runs that follow each other too fast for the clock of the file system.
    os.utime(folder.state / "runs" / f"{run}.json", (started_s, started_s))


def log(folder: BatchFolder, output: str, status: str, ended_s: float, process_id: str = "me") -> dict:
    record = {"output": output, "status": status, "ended_s": ended_s}
    Journal(folder.state, process_id).append(record)
    return record


@contextmanager
def at_work_on(folder: BatchFolder, *keys: str):
    with Heartbeat(folder.state) as process:
        leases = Leases(folder.state, process)
        assert all(map(leases.take, keys))
        yield process
        for key in keys:
            leases.release(key)


def test_a_run_that_was_stopped(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "done", 1060)
    log(folder, "b.mp4", "done", 1120, "you")
    # Two in 120 s; 400 bytes took that long, of which 600 are left.
    assert batch_status(folder.output_dir) == BatchStatus(3, 2, 0, {}, 1.0, 180.0, [])


def test_a_run_that_is_finished(folder):
    plan(folder, 1000)
    for output, ended_s in (("c.mp4", 1090), ("b.mp4", 1030), ("a.mp4", 1060)):
        log(folder, output, "done", ended_s)
    assert batch_status(folder.output_dir) == BatchStatus(3, 3, 0, {}, 2.0, 0.0, [])


def test_failures_are_counted_and_told(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "failed", 1010)
    failures = [log(folder, "a.mp4", "failed", 1020), log(folder, "b.mp4", "failed", 1050)]
    log(folder, "c.mp4", "done", 1120)
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 2, {}, 0.5, 0.0, failures)


def test_what_failed_and_was_done_then_is_done(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "failed", 1010)
    log(folder, "a.mp4", "done", 1060)
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, 1.0, 540.0, [])


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_of_two_processes_records_the_later_one_counts(folder, names):
    plan(folder, 1000)
    log(folder, "a.mp4", "failed", 1010, names[0])
    log(folder, "a.mp4", "done", 1060, names[1])
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, 1.0, 540.0, [])


def test_a_run_that_has_just_begun(folder):
    plan(folder, time.time())
    assert batch_status(folder.output_dir) == BatchStatus(3, 0, 0, {}, None, None, [])
    with at_work_on(folder, "b.mp4") as process:
        expected = BatchStatus(3, 0, 0, {"b.mp4": process.id}, None, None, [])
        assert batch_status(folder.output_dir) == expected


def test_a_run_at_work(folder):
    started_s = time.time() - 600
    plan(folder, started_s)
    log(folder, "a.mp4", "done", started_s + 60)
    log(folder, "b.mp4", "failed", started_s + 70)
    with at_work_on(folder, "b.mp4", "c.mp4") as process:
        before_s = time.time() - started_s
        status = batch_status(folder.output_dir)
        after_s = time.time() - started_s
    assert (status.num_pairs, status.num_done, status.num_failed, status.failures) == (3, 1, 0, [])
    assert status.at_work == {"b.mp4": process.id, "c.mp4": process.id}
    assert 60 / after_s <= status.pairs_per_minute <= 60 / before_s
    # 100 bytes took all the time until now, 900 are left.
    assert 9 * before_s <= status.left_s <= 9 * after_s


def test_steps_of_one_output_are_work_on_it(folder):
    plan(folder, 1000)
    with at_work_on(folder, "c.mp4\nboxes", "c.mp4\n0", "c.mp4\n1") as process:
        assert batch_status(folder.output_dir).at_work == {"c.mp4": process.id}


def test_what_a_dead_process_had_is_not_at_work(folder):
    plan(folder, 1000)
    with Heartbeat(folder.state) as process:
        Leases(folder.state, process).take("a.mp4")
    log(folder, "b.mp4", "done", 1060)
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, 1.0, 140.0, [])


def test_the_rate_is_that_of_the_last_run(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "done", 1500)
    plan(folder, 5000)
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, None, None, [])
    log(folder, "b.mp4", "done", 5030)
    # 300 bytes in 30 s, 600 are left.
    assert batch_status(folder.output_dir) == BatchStatus(3, 2, 0, {}, 2.0, 60.0, [])


def test_outputs_of_another_list_do_not_count(folder):
    plan(folder, 1000, {"x.mp4": 5000, "y.mp4": 1})
    log(folder, "x.mp4", "done", 2100)
    log(folder, "y.mp4", "failed", 2200)
    plan(folder, 2000)
    log(folder, "a.mp4", "done", 2060)
    assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, 1.0, 540.0, [])
    with at_work_on(folder, "y.mp4"):
        assert batch_status(folder.output_dir).at_work == {}


def test_the_rate_of_a_finished_run_stays_while_another_list_is_at_work(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "done", 1060)
    with at_work_on(folder, "y.mp4"):
        assert batch_status(folder.output_dir) == BatchStatus(3, 1, 0, {}, 1.0, 540.0, [])


def test_files_without_size_tell_no_time(folder):
    plan(folder, 1000, {"a.mp4": 0, "b.mp4": 600})
    log(folder, "a.mp4", "done", 1060)
    assert batch_status(folder.output_dir) == BatchStatus(2, 1, 0, {}, 1.0, None, [])


def test_what_ended_when_the_run_started_tells_no_rate(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "done", 1000)
    assert batch_status(folder.output_dir).num_done == 1


def test_looking_leaves_no_file(folder):
    plan(folder, 1000)
    log(folder, "a.mp4", "done", 1060)
    before = sorted(path for path in folder.output_dir.rglob("*") if path.is_file())
    batch_status(folder.output_dir)
    assert sorted(path for path in folder.output_dir.rglob("*") if path.is_file()) == before


def test_a_folder_of_something_else(folder):
    with pytest.raises(MediaError, match=f"^{folder.output_dir}: is not the folder of a batch; "):
        batch_status(folder.output_dir)
    assert not folder.output_dir.exists()
    (folder.output_dir / "clips").mkdir(parents=True)
    with pytest.raises(MediaError, match="is not the folder of a batch"):
        batch_status(folder.output_dir)
    assert [path.name for path in folder.output_dir.iterdir()] == ["clips"]


def test_28_000_pairs(folder):
    outputs = [f"{index}.mp4" for index in range(28_000)]
    plan(folder, 1000, dict.fromkeys(outputs, 10))
    log(folder, outputs[0], "done", 1060)
    lines = [f'{{"output": "{output}", "status": "done", "ended_s": 1600}}\n' for output in outputs[1:10_000]]
    (folder.state / "results" / "you.jsonl").write_text("".join(lines))
    assert batch_status(folder.output_dir) == BatchStatus(28_000, 10_000, 0, {}, 1000.0, 1080.0, [])
