import os
from pathlib import Path

import pytest

from diff2lip_diffusers.batch.folder import BatchFolder, BatchPlan
from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.errors import MediaError

PLAN = BatchPlan(1700000000.25, 3, 2, {"a.mp4": 12345, "b/ä 1.mp4": 0})


@pytest.fixture
def folder(tmp_path):
    return BatchFolder(tmp_path / "out")


def make(folder: BatchFolder, output: str, content: str, process_id: str = "me") -> Path:
    """Makes an output where a process does, and tells where."""
    made = folder.new_work_path(process_id, output)
    made.write_text(content)
    return made


def put(folder: BatchFolder, output: str, content: str):
    folder.put_in_place(make(folder, output, content), output)


def files_in(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir())


def set_time(folder: BatchFolder, run: int, time_s: float):
    os.utime(folder.state / "runs" / f"{run}.json", (time_s, time_s))


# Plans


def test_a_plan_is_read_by_another_process_as_it_was_written(folder):
    run = folder.write_plan(PLAN)
    assert BatchFolder(folder.output_dir).read_plan(run) == PLAN


def test_the_number_of_a_run_fits_what_processes_tell_each_other(folder):
    runs = {folder.write_plan(PLAN) for _ in range(20)}
    assert len(runs) == 20 and all(0 < run < 2**63 for run in runs)


@pytest.mark.parametrize("times", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_last_run_is_the_one_that_the_file_server_saw_last(folder, times):
    runs = [folder.write_plan(PLAN) for _ in times]
    for run, time_s in zip(runs, times, strict=True):
        set_time(folder, run, time_s)
    assert folder.last_run() == runs[times.index(3)]


def test_a_plan_that_was_never_finished_is_none(folder):
    run = folder.write_plan(PLAN)
    set_time(folder, run, 1)
    (folder.state / "runs" / f".{run + 1}.json.part").write_text('{"started_s": 17')
    assert folder.last_run() == run


def test_a_folder_of_something_else_has_no_run(folder, tmp_path):
    expected = f"^{folder.output_dir}: is not the folder of a batch; name the one given as --output-dir$"
    with pytest.raises(MediaError, match=expected):
        folder.last_run()
    (folder.state / "runs").mkdir(parents=True)
    (folder.state / "runs" / "notes.txt").touch()
    with pytest.raises(MediaError, match=expected):
        folder.last_run()


def test_a_plan_that_is_not_there(folder):
    with pytest.raises(MediaError, match=f"^{folder.output_dir}: .*No such file"):
        folder.read_plan(5)


@pytest.mark.parametrize("content", ["", '{"started_s": 17', '{"unknown": 1}', "[]"])
def test_a_plan_that_a_power_failure_has_torn(folder, content):
    run = folder.write_plan(PLAN)
    (folder.state / "runs" / f"{run}.json").write_text(content)
    with pytest.raises(MediaError, match=f"^{folder.state}/runs/{run}.json: [^\n]*; start the batch again$"):
        folder.read_plan(run)


# Outputs


def test_outputs_that_exist_are_those_of_this_name_and_folder(folder):
    wanted = {"a.mp4", "b/c.mp4", "b/d/ä 1.mp4", "b/e.mp4", "c.mp4", "none/a.mp4"}
    assert folder.existing(wanted) == set()
    folder.write_plan(PLAN)
    make(folder, "e.mp4", "half")
    for name in ("a.mp4", "b/c.mp4", "b/d/ä 1.mp4", "other.mp4", "results.jsonl", "none/.a.mp4"):
        put(folder, name, name)
    assert folder.existing(wanted) == {"a.mp4", "b/c.mp4", "b/d/ä 1.mp4"}
    assert folder.existing([]) == set()


def test_28_000_outputs(folder):
    outputs = [f"{index % 7}/{index}.mp4" for index in range(28_000)]
    for output in outputs[:1000]:
        path = folder.output_dir / output
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert folder.existing(iter(outputs)) == set(outputs[:1000])


def test_outputs_are_found_in_a_folder_that_is_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder.output_dir.mkdir()
    (folder.output_dir / "b").symlink_to(tmp_path / "elsewhere")
    put(folder, "b/c.mp4", "c")
    assert folder.existing(["b/c.mp4", "c.mp4"]) == {"b/c.mp4"}


def test_no_output_exists_below_a_file(folder):
    put(folder, "a.mp4", "a")
    assert folder.existing(["a.mp4", "a.mp4/b.mp4"]) == {"a.mp4"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(folder):
    put(folder, "b/c.mp4", "c")
    (folder.output_dir / "b").chmod(0)
    try:
        with pytest.raises(MediaError, match=f"^{folder.output_dir}: .*Permission denied"):
            folder.existing(["b/c.mp4"])
    finally:
        (folder.output_dir / "b").chmod(0o700)


# Work and its place


def test_every_work_has_a_place_of_its_own_with_the_output_s_name(folder):
    names = ["a.mp4", "x/a.mp4", "y/a.mp4", "a.mp4"]
    places = [folder.new_work_path(process_id, name) for process_id in ("me", "you") for name in names]
    assert len({place.parent for place in places}) == len(places)
    assert all(place.name == "a.mp4" and list(place.parent.iterdir()) == [] for place in places)


def test_a_file_is_moved_whole_and_nothing_else_is_left(folder):
    made = make(folder, "b/c/a.mp4", "content")
    number = made.stat().st_ino
    folder.put_in_place(made, "b/c/a.mp4")
    target = folder.output_dir / "b/c/a.mp4"
    assert target.read_text() == "content" and target.stat().st_ino == number
    assert files_in(folder.output_dir) == ["b/c/a.mp4"]
    assert not made.parent.exists()


def test_an_old_output_is_replaced_and_who_reads_it_has_it_whole(folder):
    put(folder, "a.mp4", "old")
    with (folder.output_dir / "a.mp4").open() as reader:
        put(folder, "a.mp4", "new")
        assert reader.read() == "old"
    assert (folder.output_dir / "a.mp4").read_text() == "new"


def test_outputs_of_one_name_in_different_folders(folder):
    names = ["a.mp4", "x/a.mp4", "y/a.mp4"]
    made = [make(folder, name, name) for name in names]
    for path, name in zip(reversed(made), reversed(names), strict=True):
        folder.put_in_place(path, name)
    assert [(folder.output_dir / name).read_text() for name in names] == names
    assert folder.existing(names) == set(names)


@pytest.mark.parametrize(("there", "output"), [("a.mp4/b", "a.mp4"), ("a.mp4", "a.mp4/b.mp4")])
def test_an_output_whose_name_is_taken_by_a_folder_or_needs_one_where_a_file_is(folder, there, output):
    made = make(folder, output, "content")
    (folder.output_dir / there).parent.mkdir(parents=True, exist_ok=True)
    (folder.output_dir / there).touch()
    with pytest.raises(MediaError, match=f"^{folder.output_dir / output}: cannot be written: [^\n]*$"):
        folder.put_in_place(made, output)
    assert made.read_text() == "content" and (folder.output_dir / there).is_file()


def test_what_is_left_beside_an_output_does_not_keep_it_from_its_place(folder):
    made = make(folder, "a.mp4", "content")
    (made.parent / ".nfs0001").touch()
    folder.put_in_place(made, "a.mp4")
    assert (folder.output_dir / "a.mp4").read_text() == "content"


def test_what_is_given_up_is_removed_with_all_beside_it_and_nothing_else(folder):
    made, other = make(folder, "a.mp4", "mine"), make(folder, "a.mp4", "other")
    (made.parent / ".part").mkdir()
    (made.parent / ".part" / "frames").touch()
    put(folder, "b.mp4", "done")
    folder.discard(made)
    folder.discard(made)
    assert not made.parent.exists() and other.read_text() == "other"
    assert (folder.output_dir / "b.mp4").read_text() == "done"


def test_what_was_never_begun_is_given_up(folder):
    made = folder.new_work_path("me", "a.mp4")
    folder.discard(made)
    assert not made.parent.exists()


def test_the_work_of_one_process_is_removed(folder):
    works = {process_id: make(folder, "a.mp4", process_id, process_id) for process_id in ("me", "you", "they")}
    put(folder, "b.mp4", "done")
    for process_id in ("me", "they", "nobody"):
        folder.discard_work_of(process_id)
    assert [process_id for process_id, made in works.items() if made.exists()] == ["you"]
    assert (folder.output_dir / "b.mp4").read_text() == "done"


def test_what_dead_processes_left_is_removed_and_what_live_ones_make_stays(folder):
    with Heartbeat(folder.state) as process:
        dead_id = "host.name-17-00c0ffee"
        parts = [folder.state / f".{process_id}.5eed5eed.part" for process_id in (process.id, dead_id)]
        for part in parts:
            part.touch()
        mine, left = make(folder, "a.mp4", "half", process.id), make(folder, "a.mp4", "half", dead_id)
        run = folder.write_plan(PLAN)
        put(folder, "b.mp4", "done")
        before = files_in(folder.output_dir)
        folder.discard_leftovers(process.is_alive)
        gone = set(before) - set(files_in(folder.output_dir))
        assert gone == {path.relative_to(folder.output_dir).as_posix() for path in (left, parts[1])}
        assert mine.exists() and folder.read_plan(run) == PLAN
    assert not (folder.state / "unfinished" / dead_id).exists()


def test_nothing_is_left_over_in_a_folder_where_nothing_was(folder):
    folder.discard_leftovers(lambda process_id: False)
    assert not folder.output_dir.exists()


# Folders that cannot be written


def check_errors(folder: BatchFolder):
    for write in (lambda: folder.write_plan(PLAN), lambda: folder.new_work_path("me", "a.mp4")):
        with pytest.raises(MediaError, match=f"^{folder.output_dir}: cannot be written: [^\n]*$"):
            write()


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    check_errors(BatchFolder(tmp_path / "file"))
    check_errors(BatchFolder(tmp_path / "file" / "out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(folder):
    made = make(folder, "b/a.mp4", "content")
    folder.output_dir.chmod(0o500)
    try:
        check_errors(BatchFolder(folder.output_dir / "inner"))
        with pytest.raises(MediaError, match=f"^{folder.output_dir}/b/a.mp4: cannot be written: Permission denied; "):
            folder.put_in_place(made, "b/a.mp4")
    finally:
        folder.output_dir.chmod(0o700)
    assert made.read_text() == "content"
