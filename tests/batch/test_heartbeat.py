import json
import os
import re
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from helpers.processes import file_of, make_process, set_age, start

from diff2lip_diffusers.batch import heartbeat
from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.errors import MediaError

LIVE_UNTIL_INPUT_ENDS = """
from diff2lip_diffusers.batch.heartbeat import Heartbeat
with Heartbeat(sys.argv[1]) as process:
    print(process.id, flush=True)
    sys.stdin.read()
assert "torch" not in sys.modules
"""


def wait_until(is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def me(tmp_path):
    with Heartbeat(tmp_path) as process:
        yield process


@pytest.fixture
def other(tmp_path):
    process = start(LIVE_UNTIL_INPUT_ENDS, tmp_path)
    process.id = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


# Its file


def test_the_file_tells_where_the_process_is_and_goes_with_it(tmp_path):
    with Heartbeat(tmp_path / "made" / "on demand") as process:
        path = file_of(tmp_path / "made" / "on demand", process.id)
        content = json.loads(path.read_text())
        assert set(content) == {"host", "boot_id", "pid_namespace", "pid", "created_s"}
        assert (content["host"], content["pid"]) == (socket.gethostname(), os.getpid())
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert list(path.parent.iterdir()) == []


def test_ids_are_unique_file_names(tmp_path):
    ids = {Heartbeat(tmp_path).id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(rf"[A-Za-z0-9.-]+-{os.getpid()}-[0-9a-f]{{8}}", process_id) for process_id in ids)


@pytest.mark.parametrize(
    "host, name", [("gpu_1.a/b", "gpu-1.a-b"), ("ä" * 300, "host"), ("..", "host"), ("x" * 300, "x" * 64)]
)
def test_any_host_name_gives_an_id(tmp_path, monkeypatch, host, name):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with Heartbeat(tmp_path) as process:
        assert process.id.startswith(f"{name}-{os.getpid()}-") and process.is_alive(process.id)


def test_the_file_is_touched_and_made_anew_and_errors_are_survived(tmp_path, monkeypatch):
    with Heartbeat(tmp_path, heartbeat_s=0.005, lease_s=60) as process:
        path = file_of(tmp_path, process.id)
        set_age(path, 1000)
        wait_until(lambda: time.time() - path.stat().st_mtime < 100)
        content = path.read_text()
        path.unlink()
        wait_until(path.exists)
        assert path.read_text() == content
        with monkeypatch.context() as patch:
            failures = []
            patch.setattr(heartbeat.os, "utime", lambda *_: failures.append(1) or os.stat(tmp_path / "no such file"))
            patch.setattr(Path, "write_text", lambda *_: os.stat(tmp_path / "no such file"))
            wait_until(lambda: len(failures) > 2)
        set_age(path, 1000)
        wait_until(lambda: time.time() - path.stat().st_mtime < 100)
    assert list(path.parent.iterdir()) == []


def test_the_process_goes_where_its_file_has_gone(tmp_path):
    with Heartbeat(tmp_path) as process:
        file_of(tmp_path, process.id).unlink()
        file_of(tmp_path, process.id).parent.rmdir()


# On this machine


def test_itself_is_alive_and_who_has_no_file_is_dead(tmp_path, me):
    file_of(tmp_path, me.id).unlink()
    assert me.is_alive(me.id)
    assert not me.is_alive("host-1-12345678") and not me.is_alive("")


def test_a_process_here_is_alive_however_long_it_was_silent(tmp_path, me, other):
    assert me.is_alive(other.id)
    set_age(file_of(tmp_path, other.id), 1e6)
    assert me.is_alive(other.id)
    other.send_signal(signal.SIGSTOP)
    assert me.is_alive(other.id)


def test_a_process_here_is_dead_once_it_is_killed(tmp_path, me, other):
    other.kill()
    wait_until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE)
    assert not me.is_alive(other.id)
    other.wait()
    assert not me.is_alive(other.id)
    assert file_of(tmp_path, other.id).exists()


def test_a_process_that_ended_is_dead(tmp_path, me, other):
    other.communicate()
    assert other.returncode == 0
    assert not me.is_alive(other.id) and not file_of(tmp_path, other.id).exists()


@pytest.mark.parametrize("seconds, alive", [(0.5, True), (-0.5, True), (5, False), (-5, False)])
def test_another_process_of_the_same_number_is_not_taken_for_it(tmp_path, me, seconds, alive):
    created_s = json.loads(file_of(tmp_path, me.id).read_text())["created_s"]
    assert me.is_alive(make_process(tmp_path, 0, created_s=created_s + seconds)) is alive


@pytest.mark.skipif(not psutil.LINUX, reason="patches the Linux part of psutil")
def test_setting_the_clock_kills_nobody(tmp_path, me, monkeypatch):
    twin = make_process(tmp_path, 0)
    booted_s = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted_s + 3600)
    assert psutil.Process().create_time() > time.time()
    assert me.is_alive(twin)


# On another machine


@pytest.mark.parametrize("place", [{"host": "elsewhere"}, {"boot_id": None}, {"pid_namespace": "pid:[1]"}], ids=str)
def test_a_process_elsewhere_is_alive_as_long_as_its_lease(tmp_path, me, place):
    assert me.is_alive(make_process(tmp_path, 100, **place))
    assert me.is_alive(make_process(tmp_path, -1000, **place))
    assert not me.is_alive(make_process(tmp_path, 200, **place))
    # The numbers of processes mean nothing there.
    assert me.is_alive(make_process(tmp_path, 100, pid=2**22 + 1, **place))


CONTENTS = [b"", b"{", b"[]", b"7", b"\0\0\0", b"\xff", b'{"host": "x"}', b'{"pid": 1}']


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_cannot_be_understood_is_judged_by_the_lease(tmp_path, me, content):
    for age_s, alive in ((100, True), (200, False)):
        path = file_of(tmp_path, make_process(tmp_path, 0))
        path.write_bytes(content)
        set_age(path, age_s)
        assert me.is_alive(path.stem) is alive


@pytest.mark.parametrize("change", [{"pid": "x"}, {"pid": -1}, {"created_s": None}, {"pid": None}], ids=str)
def test_numbers_that_are_none_are_judged_by_the_lease(tmp_path, me, change):
    assert me.is_alive(make_process(tmp_path, 100, **change))
    assert not me.is_alive(make_process(tmp_path, 200, **change))


def test_only_the_clock_of_the_file_server_counts(tmp_path, monkeypatch):
    touch, late_s = os.utime, time.time() - 1e9
    monkeypatch.setattr(heartbeat.os, "utime", lambda path, times=(1e9, 1e9): touch(path, times))
    with Heartbeat(tmp_path) as process:
        assert process.is_alive(make_process(tmp_path, late_s + 100, host="elsewhere"))
        assert not process.is_alive(make_process(tmp_path, late_s + 200, host="elsewhere"))


def test_after_a_standstill_of_the_file_server_others_get_a_new_lease(tmp_path, monkeypatch, me):
    elsewhere = make_process(tmp_path, 10, host="elsewhere")
    touch, now_s = os.utime, time.time()
    for later_s, alive in ((1000, True), (1060, True), (1120, True), (1179, True), (1182, False)):
        monkeypatch.setattr(heartbeat.os, "utime", lambda path, time_s=now_s + later_s: touch(path, (time_s,) * 2))
        assert me.is_alive(elsewhere) is alive


# The dead


def test_each_dead_process_is_told_to_one_caller(tmp_path, me, other):
    dead = {make_process(tmp_path, 200, host="elsewhere"), make_process(tmp_path, 0, created_s=0)}
    make_process(tmp_path, 100, host="elsewhere")
    with Heartbeat(tmp_path) as second:
        other.kill()
        other.wait()
        assert me.forget_dead() == dead | {other.id}
        assert second.forget_dead() == set() == me.forget_dead()
        assert {me.id, second.id} < {path.stem for path in (tmp_path / "processes").iterdir()}


def test_only_who_removes_the_file_of_a_dead_process_is_told(tmp_path, me, monkeypatch):
    dead = make_process(tmp_path, 200, host="elsewhere")
    is_alive = me.is_alive

    def remove_meanwhile(process_id):
        alive = is_alive(process_id)
        file_of(tmp_path, dead).unlink(missing_ok=True)
        return alive

    monkeypatch.setattr(me, "is_alive", remove_meanwhile)
    assert me.forget_dead() == set()


def test_what_was_left_half_written_goes_once_it_is_old(tmp_path, me):
    old, new = (tmp_path / "processes" / f".host-1-12345678.{name}.part" for name in ("old", "new"))
    for path, age_s in ((old, 200), (new, 100)):
        path.touch()
        set_age(path, age_s)
    assert me.forget_dead() == set()
    assert new.exists() and not old.exists()


# Errors


@pytest.mark.parametrize("heartbeat_s, lease_s", [(0, 1), (-1, 1), (15, 44), (1, 0)])
def test_a_lease_is_longer_than_a_few_heartbeats(tmp_path, heartbeat_s, lease_s):
    with pytest.raises(ValueError, match=f"`lease_s` .* got {lease_s} and {heartbeat_s}$"):
        Heartbeat(tmp_path, heartbeat_s, lease_s)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(MediaError, match="^.*/file: cannot be written: [^\n]*; make room or choose") as raised:
        with Heartbeat(path):
            pass
    assert raised.value.path == path


def test_a_disk_error_while_others_are_judged_is_one_line(tmp_path, me, monkeypatch):
    elsewhere = make_process(tmp_path, 100, host="elsewhere")

    def fail(path):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(heartbeat.os, "utime", fail)
    for judge in (lambda: me.is_alive(elsewhere), me.forget_dead):
        with pytest.raises(MediaError, match="cannot be written: Read-only file system; make room"):
            judge()
