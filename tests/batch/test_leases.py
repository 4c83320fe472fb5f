import errno
import json
import os
import random
import shutil
import threading
from contextlib import ExitStack, contextmanager

import pytest
from helpers.processes import file_of, make_process, set_age, start

from diff2lip_diffusers.batch import leases as leases_module
from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.errors import MediaError

IMPORTS = """
import os, random, time
from pathlib import Path
import psutil
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.batch.heartbeat import Heartbeat
folder = Path(sys.argv[1])
"""
TAKE_ALL = """
with Heartbeat(folder) as process:
    leases = Leases(folder, process)
    print("ready", flush=True)
    sys.stdin.readline()
    keys = [f"key {index}" for index in range(200)]
    random.shuffle(keys)
    for key in keys:
        if leases.take(key):
            print(key)
    print("done", flush=True)
    sys.stdin.read()
"""
TAKE_AND_STAY = """
with Heartbeat(folder) as process:
    leases = Leases(folder, process)
    print(*map(leases.take, sys.argv[2:]), process.id, flush=True)
    sys.stdin.read()
"""
# What two processes do at a time, or twice, is told in the last line; each leaves its number where it works.
WORK = """
keys = [f"key{index}" for index in range(120)]

def at_work(guard):
    try:
        return psutil.Process(int(guard.read_text())).status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return False

def work(key):
    guard, part, result = folder / f"{key}.guard", folder / f"{key}.{os.getpid()}", folder / f"{key}.result"
    assert not at_work(guard), "two at a time"
    part.write_text(str(os.getpid()))
    part.replace(guard)
    time.sleep(0.002)
    assert guard.read_text() == str(os.getpid()), "two at a time"
    guard.unlink()
    result.touch(exist_ok=False)

with Heartbeat(folder) as process:
    leases = Leases(folder, process)
    while undone := [key for key in keys if not (folder / f"{key}.result").exists()]:
        random.shuffle(undone)
        for key in undone:
            if leases.take(key):
                if not (folder / f"{key}.result").exists():
                    work(key)
                leases.release(key)
        leases.remove_partial(process.forget_dead())
print("fine", flush=True)
"""


@pytest.fixture
def processes(tmp_path):
    """Makes live processes; entering them all is what makes them alive, leaving one is what makes it dead."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Heartbeat(tmp_path))


@pytest.fixture
def mine(tmp_path, processes):
    return Leases(tmp_path, processes())


@pytest.fixture
def theirs(tmp_path, processes):
    return Leases(tmp_path, processes())


@pytest.fixture
def die(tmp_path):
    def die(leases):
        file_of(tmp_path, leases._process.id).unlink()

    return die


def in_place(folder) -> dict[str, str]:
    """Generation of each claim, and whose it is; no other folders are there."""
    return {
        path.name.partition(".")[2]: json.loads((path / "owner.json").read_text())["process"]
        for path in (folder / "leases").iterdir()
    }


@contextmanager
def just_before(monkeypatch, name, action):
    """Calls the action once, when the leases are about to call a function of `os`."""
    function, todo = getattr(os, name), [action]

    def act_and_call(*arguments):
        if todo:
            todo.pop()()
        return function(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(leases_module.os, name, act_and_call)
        yield
    assert not todo


# One holder


def test_a_key_is_one_process_s_until_it_is_released(tmp_path, mine, theirs):
    assert mine.held() == {} and mine.orphaned() == set()
    assert mine.take("a") and not theirs.take("a") and theirs.take("b")
    assert mine.held() == theirs.held() == {"a": mine._process.id, "b": theirs._process.id}
    mine.release("a")
    assert theirs.held() == {"b": theirs._process.id}
    assert theirs.take("a") and not mine.take("a")
    theirs.release("a"), theirs.release("b")
    assert mine.held() == {} == in_place(tmp_path) and mine.orphaned() == set()


def test_keys_are_any_text(tmp_path, mine, theirs):
    keys = {"", "a/b", "..", "ä" * 1000, os.fsdecode(b"\xff.mp4"), "a\nb\0"}
    assert all(mine.take(key) for key in keys) and not any(theirs.take(key) for key in keys)
    assert theirs.held() == dict.fromkeys(keys, mine._process.id)


def test_a_key_that_the_process_has_is_not_taken_again(tmp_path, mine):
    mine.take("a")
    with pytest.raises(ValueError, match="^`key` must be one that this process does not hold, got 'a'$"):
        mine.take("a")
    assert in_place(tmp_path) == {"0": mine._process.id}


def test_what_another_has_is_not_released(tmp_path, mine, theirs):
    mine.release("a")
    mine.take("a")
    theirs.release("a")
    assert theirs.held() == {"a": mine._process.id}


def test_a_key_at_work_costs_the_others_no_writing(mine, theirs, monkeypatch):
    mine.take("a")
    failing(monkeypatch, "rename", errno.EROFS)
    assert not theirs.take("a")


def test_of_threads_one_gets_a_key(mine):
    outcomes = []

    def take():
        try:
            outcomes.append(mine.take("a"))
        except ValueError:
            outcomes.append("has it")

    threads = [threading.Thread(target=take) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(str, outcomes)) == ["True"] + ["has it"] * 7


def test_of_processes_one_gets_a_key(tmp_path, mine):
    workers = [start(IMPORTS + TAKE_ALL, tmp_path) for _ in range(4)]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken = [list(iter(worker.stdout.readline, "done\n")) for worker in workers]
    assert sorted(sum(taken, [])) == sorted(f"key {index}\n" for index in range(200))
    assert len(mine.held()) == 200 and set(in_place(tmp_path)) == {"0"}
    [worker.communicate() for worker in workers]
    assert mine.held() == {} and mine.orphaned() == {f"key {index}" for index in range(200)}


def test_work_is_done_once_however_many_are_killed(tmp_path, mine):
    workers = [start(IMPORTS + WORK, tmp_path) for _ in range(4)]
    for killed_at in range(10, 110, 10):
        while len(list(tmp_path.glob("*.result"))) < killed_at:
            assert any(worker.poll() is None for worker in workers)
        victim = workers.pop(random.randrange(4))
        victim.kill()
        victim.stdin.close(), victim.stdout.close()
        workers.append(start(IMPORTS + WORK, tmp_path))
        if killed_at % 20:
            victim.wait()  # the others stay zombies for now
    assert [worker.communicate()[0] for worker in workers] == ["fine\n"] * 4
    assert len(list(tmp_path.glob("*.result"))) == 120
    for key in mine.orphaned():
        assert mine.take(key)
        mine.release(key)
    mine.remove_partial(mine._process.forget_dead())
    assert list((tmp_path / "leases").iterdir()) == []


# Dead holders


def test_the_key_of_a_killed_process_is_overtaken_at_once(tmp_path, mine, theirs):
    holder = start(IMPORTS + TAKE_AND_STAY, tmp_path, "a", "b")
    *took, holder_id = holder.stdout.readline().split()
    assert took == ["True", "True"]
    assert not mine.take("a") and mine.orphaned() == set()
    holder.kill()
    holder.communicate()
    assert mine.held() == {} and mine.orphaned() == {"a", "b"}
    assert mine.take("a") and not theirs.take("a")
    assert mine.held() == {"a": mine._process.id} and mine.orphaned() == {"b"}
    assert sorted(in_place(tmp_path)) == ["0", "1"] and holder_id in in_place(tmp_path).values()
    mine.release("a")
    assert mine.orphaned() == {"b"} and in_place(tmp_path) == {"0": holder_id}


def test_the_key_of_a_process_elsewhere_is_overtaken_when_its_lease_ran_out(tmp_path, mine, monkeypatch):
    elsewhere = make_process(tmp_path, 100, host="elsewhere")
    with monkeypatch.context() as patch:
        patch.setattr(mine._process, "id", elsewhere)
        assert mine.take("a")
    assert not mine.take("a") and mine.held() == {"a": elsewhere}
    set_age(file_of(tmp_path, elsewhere), 200)
    assert mine.orphaned() == {"a"} and mine.take("a")
    assert in_place(tmp_path) == {"0": elsewhere, "1": mine._process.id}


def test_generations_are_numbers(tmp_path, processes, die):
    holders = [Leases(tmp_path, processes()) for _ in range(12)]
    for holder in holders:
        assert holder.orphaned() == ({"a"} if holder is not holders[0] else set())
        assert holder.take("a") and holder.held() == {"a": holder._process.id}
        die(holder)
    last = Leases(tmp_path, processes())
    assert last.take("a")
    assert in_place(tmp_path) == {str(n): h._process.id for n, h in enumerate([*holders, last])}
    last.release("a")
    assert in_place(tmp_path) == {}


def test_who_was_overtaken_leaves_the_other_s_claim_alone(tmp_path, processes, mine, theirs, die):
    mine.take("a")
    die(mine)
    assert theirs.take("a")
    mine._process._touch()  # back again
    assert theirs.held() == {"a": theirs._process.id}
    with pytest.raises(ValueError):
        mine.take("a")
    mine.release("a")
    assert in_place(tmp_path) == {"1": theirs._process.id}
    mine.release("a")
    assert not mine.take("a") and mine.held() == {"a": theirs._process.id}


def test_who_was_overtaken_leaves_the_other_s_claim_alone_even_when_that_one_died(tmp_path, mine, theirs, die):
    mine.take("a")
    die(mine)
    theirs.take("a")
    die(theirs)
    mine._process._touch()
    assert mine.held() == {"a": mine._process.id} and mine.orphaned() == set()
    mine.release("a")
    assert in_place(tmp_path) == {"1": theirs._process.id} and mine.orphaned() == {"a"}


def test_who_was_overtaken_and_is_back_keeps_the_key_when_the_other_releases_it(tmp_path, mine, theirs, die):
    mine.take("a")
    die(mine)
    theirs.take("a")
    mine._process._touch()
    theirs.release("a")
    assert in_place(tmp_path) == {"0": mine._process.id}
    assert not theirs.take("a") and theirs.held() == {"a": mine._process.id}


@pytest.mark.parametrize("content", ["", '{"process": "x', "[]", "{}", '{"process": 7, "key": []}'])
def test_a_claim_that_cannot_be_read_is_overtaken(tmp_path, mine, theirs, content):
    theirs.take("a")
    owner = next((tmp_path / "leases").glob("*/owner.json"))
    owner.write_text(content)
    assert mine.held() == {}
    assert mine.take("a") and not theirs.take("a")
    assert mine.held() == {"a": mine._process.id} and mine.orphaned() == set()
    mine.release("a")
    assert in_place(tmp_path) == {}


# Release


def test_a_claim_stays_in_place_until_the_lower_ones_are_gone(tmp_path, processes, mine, die, monkeypatch):
    for holder in (Leases(tmp_path, processes()), Leases(tmp_path, processes())):
        holder.take("a")
        die(holder)
    mine.take("a")
    rename, seen = os.rename, []

    def look_and_rename(source, target):
        seen.append(sorted(path.suffix for path in (tmp_path / "leases").glob("[!.]*")))
        rename(source, target)

    monkeypatch.setattr(leases_module.os, "rename", look_and_rename)
    mine.release("a")
    assert seen == [[".0", ".1", ".2"], [".1", ".2"], [".2"]]
    assert in_place(tmp_path) == {}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_release_that_is_cut_short_leaves_a_key_to_overtake(
    tmp_path, processes, mine, theirs, die, monkeypatch, renames
):
    for holder in (Leases(tmp_path, processes()), Leases(tmp_path, processes())):
        holder.take("a")
        die(holder)
    mine.take("a")
    todo, rename = list(range(renames)), os.rename
    with monkeypatch.context() as patch:
        patch.setattr(leases_module.os, "rename", lambda *names: todo.pop() is not None and rename(*names))
        with pytest.raises(IndexError):
            mine.release("a")
    assert theirs.held() == {"a": mine._process.id} and not theirs.take("a")
    die(mine)
    assert theirs.orphaned() == {"a"} and theirs.take("a")
    theirs.release("a")
    assert in_place(tmp_path) == {}


def test_a_key_that_was_released_by_one_who_went_is_not_left_over(tmp_path, processes, mine, theirs, die, monkeypatch):
    first = Leases(tmp_path, processes())
    first.take("a")
    die(first)
    theirs.take("a")
    is_alive = mine._process.is_alive

    def release_and_go(process_id):
        theirs.release("a")
        file_of(tmp_path, theirs._process.id).unlink(missing_ok=True)
        return is_alive(process_id)

    monkeypatch.setattr(mine._process, "is_alive", release_and_go)
    assert mine.orphaned() == set() == mine.orphaned()


# What was listed is out of date


def test_a_successor_who_comes_late_does_not_get_what_another_has_from_the_start(
    tmp_path, processes, mine, theirs, die, monkeypatch
):
    first, third = Leases(tmp_path, processes()), Leases(tmp_path, processes())
    first.take("a")
    die(first)

    def others_come_first():
        assert theirs.take("a")
        theirs.release("a")
        assert third.take("a")

    with just_before(monkeypatch, "rename", others_come_first):
        assert not mine.take("a")
    assert in_place(tmp_path) == {"0": third._process.id}
    third.release("a")
    assert mine.take("a")


def test_a_first_one_who_comes_late_does_not_get_what_a_successor_has(
    tmp_path, processes, mine, theirs, die, monkeypatch
):
    first = Leases(tmp_path, processes())

    def others_come_first():
        first.take("a")
        die(first)
        assert theirs.take("a")
        shutil.rmtree(next((tmp_path / "leases").glob("[!.]*.0")))  # as at the start of their release

    with just_before(monkeypatch, "rename", others_come_first):
        assert not mine.take("a")
    assert in_place(tmp_path) == {"1": theirs._process.id}


def test_a_claim_that_was_removed_in_mistake_for_a_dead_one_s_is_none(tmp_path, mine, monkeypatch):
    def remove():
        shutil.rmtree(next((tmp_path / "leases").glob("[!.]*")))

    def put_then_remove(place, key, put=mine._put):
        assert put(place, key)
        remove()
        return True

    monkeypatch.setattr(mine, "_put", put_then_remove)
    assert not mine.take("a")
    assert in_place(tmp_path) == {}


def test_who_is_second_by_a_moment_goes_without(tmp_path, mine, theirs, monkeypatch):
    with just_before(monkeypatch, "rename", lambda: theirs.take("a")):
        assert not mine.take("a")
    assert in_place(tmp_path) == {"0": theirs._process.id}


def test_what_vanishes_while_it_is_listed_is_nothing(tmp_path, mine, theirs, monkeypatch):
    theirs.take("a")
    names = os.listdir(tmp_path / "leases")
    theirs.release("a")
    monkeypatch.setattr(leases_module, "names_in", lambda _: names)
    assert mine.held() == {} and mine.orphaned() == set()
    mine.release("a")
    monkeypatch.undo()
    assert mine.take("a")


def test_other_things_in_the_folder_are_no_claims(tmp_path, mine):
    mine.take("a")
    mine.release("a")
    for name in ("readme", "0" * 32, "0" * 32 + ".x", ".nfs0001", "0" * 32 + ".1"):
        (tmp_path / "leases" / name).touch()
    (tmp_path / "leases" / ("1" * 32 + ".0")).mkdir()
    assert mine.held() == {} and mine.orphaned() == set() and mine.take("a")


def test_a_folder_that_was_deleted_is_made_anew(tmp_path, mine, theirs):
    mine.take("a")
    shutil.rmtree(tmp_path / "leases")
    assert mine.held() == {} and mine.orphaned() == set()
    mine.release("a")
    mine.remove_partial(["x"])
    assert theirs.take("a") and not mine.take("a")


# Errors


def failing(monkeypatch, name, number, act=lambda *_: None):
    def fail(*arguments):
        act(*arguments)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(leases_module.os, name, fail)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.EEXIST])
def test_a_claim_in_place_counts_whatever_the_file_server_answered(tmp_path, mine, theirs, monkeypatch, number):
    failing(monkeypatch, "rename", number, os.rename)
    assert mine.take("a")
    monkeypatch.undo()
    assert not theirs.take("a") and in_place(tmp_path) == {"0": mine._process.id}
    mine.release("a")
    assert in_place(tmp_path) == {}


@pytest.mark.parametrize("name", ["rename", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_one_line(tmp_path, mine, monkeypatch, name, number):
    failing(monkeypatch, name, number)
    with pytest.raises(MediaError, match=f"cannot be written: {os.strerror(number)}; make room or choose") as raised:
        mine.take("a")
    assert raised.value.path == tmp_path
    monkeypatch.undo()
    assert in_place(tmp_path) == {}
    assert mine.take("a")


def test_a_claim_that_cannot_be_removed_is_kept(tmp_path, mine, monkeypatch):
    mine.take("a")
    failing(monkeypatch, "rename", errno.EROFS)
    with pytest.raises(MediaError, match="Read-only"):
        mine.release("a")
    assert mine.held() == {"a": mine._process.id}
    monkeypatch.undo()
    mine.release("a")
    assert mine.held() == {}


def test_a_removal_that_the_file_server_did_twice_is_one(tmp_path, mine, monkeypatch):
    mine.take("a")
    failing(monkeypatch, "rename", errno.ENOENT, os.rename)
    mine.release("a")
    assert in_place(tmp_path) == {}


def test_what_the_dead_left_half_made_is_swept(tmp_path, mine, theirs):
    theirs.take("a")
    dead, alive = (
        tmp_path / "leases" / f".{name}.0123abcd" for name in ("host.net-1-12345678", "host.net-1-87654321")
    )
    for path in (dead, alive):
        path.mkdir()
        (path / "owner.json").touch()
    mine.remove_partial(["host.net-1-12345678", theirs._process.id])
    assert not dead.exists() and alive.exists()
    assert mine.held() == {"a": theirs._process.id}
