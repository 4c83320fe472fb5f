import errno
import json
import os
import threading
from pathlib import Path

import pytest
from helpers.processes import start

from diff2lip_diffusers.batch import journal
from diff2lip_diffusers.batch.journal import Journal
from diff2lip_diffusers.errors import MediaError

APPEND = """
from diff2lip_diffusers.batch.journal import Journal
log = Journal(sys.argv[1], sys.argv[2])
for index in range(100):
    log.append({"who": sys.argv[2], "index": index})
print("done", flush=True)
assert "torch" not in sys.modules
"""
# Appends for ever, and says of each record that it is there.
APPEND_AND_TELL = """
import itertools
from diff2lip_diffusers.batch.journal import Journal
log = Journal(sys.argv[1], "victim")
for index in itertools.count():
    log.append({"index": index, "text": "x" * 5000})
    print(index, flush=True)
"""


@pytest.fixture
def log(tmp_path):
    return Journal(tmp_path, "a")


@pytest.fixture
def reader(tmp_path):
    return Journal(tmp_path, None)


@pytest.fixture
def path(tmp_path, log):
    log.append({"first": 1})
    return tmp_path / "results" / "a.jsonl"


def add(path, content: bytes):
    with path.open("ab") as file:
        file.write(content)


# Records come once and whole


def test_records_come_once_from_all_processes(tmp_path, log, reader):
    other = Journal(tmp_path, "b")
    assert reader.read_new() == log.read_new() == []
    other.append({"x": 1})
    log.append({"y": "ä\n\r\u2028\0"})
    log.append({"z": [None, 1.5]})
    everything = [{"y": "ä\n\r\u2028\0"}, {"z": [None, 1.5]}, {"x": 1}]
    assert reader.read_new() == log.read_new() == everything
    assert reader.read_new() == log.read_new() == []
    other.append({"x": 2})
    assert reader.read_new() == log.read_new() == [{"x": 2}]
    assert Journal(tmp_path, "c").read_new() == [*everything, {"x": 2}]


def test_files_are_made_when_they_are_needed(tmp_path, log, reader):
    log.read_new(), reader.read_new()
    assert list(tmp_path.iterdir()) == []
    log.append({"x": 1})
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["a.jsonl"]


def test_a_record_is_a_line_on_the_disk_when_it_was_appended(tmp_path, log, monkeypatch):
    synced = []
    monkeypatch.setattr(journal.os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    log.append({"x": 1})
    log.append({"y": "ä"})
    lines = (tmp_path / "results" / "a.jsonl").read_bytes().splitlines(keepends=True)
    assert [json.loads(line) for line in lines] == [{"x": 1}, {"y": "ä"}]
    assert synced == [len(lines[0]), len(lines[0] + lines[1])]


def test_what_has_not_grown_is_not_opened(tmp_path, log, reader, monkeypatch):
    for name in "abc":
        Journal(tmp_path, name).append({"name": name})
    add(tmp_path / "results" / "c.jsonl", b'{"torn": ')
    reader.read_new()
    opened, open_file = [], Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *args, **kw: opened.append(self.name) or open_file(self, *args, **kw)
    )
    assert reader.read_new() == [] == opened
    log.append({"x": 1})
    opened.clear()
    assert reader.read_new() == [{"x": 1}] and opened == ["a.jsonl"]


def test_a_line_is_read_when_it_is_complete(path, reader):
    reader.read_new()
    for record in ({"x": "ä"}, {"y": 2}):
        *line, end = json.dumps(record, ensure_ascii=False).encode() + b"\n"
        for byte in line:
            add(path, bytes([byte]))
            assert reader.read_new() == []
        add(path, bytes([end]))
        assert reader.read_new() == [record]


def test_a_torn_last_line_hides_nothing_before_it(path, reader, caplog):
    add(path, b'{"x": 1}\n{"y": ')
    assert reader.read_new() == [{"first": 1}, {"x": 1}] and reader.read_new() == []
    assert caplog.records == []


def test_bytes_that_are_still_on_their_way_are_waited_for(path, reader, caplog):
    size = path.stat().st_size
    add(path, b'{"x": ' + b"\0" * 3 + b'}\n{"z": 1}\n')
    assert reader.read_new() == [{"first": 1}] and reader.read_new() == []
    with path.open("r+b") as file:
        file.seek(size)
        file.write(b'{"x": 123')
    assert reader.read_new() == [{"x": 123}, {"z": 1}]
    assert caplog.records == []


GARBAGE = [
    b"garbage",
    b"7",
    b"[1]",
    b'"x"',
    b"null",
    b'{"x": 1}{"y": 2}',
    b"\xff\xfe",
    b'{"x": ',
    b"\r",
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:9]))
def test_a_line_that_is_no_record_is_skipped_with_a_warning(path, log, reader, caplog, line):
    add(path, line + b"\n")
    log.append({"next": 2})
    assert reader.read_new() == [{"first": 1}, {"next": 2}]
    assert reader.read_new() == []
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a.jsonl: skipped a line that is not a record" in caplog.text and len(caplog.text) < 300


def test_empty_lines_and_other_files_are_nothing(path, reader, caplog):
    add(path, b"\n\n")
    (path.parent / "b.jsonl").touch()
    (path.parent / "notes.txt").write_text('{"x": 1}\n')
    assert reader.read_new() == [{"first": 1}] and caplog.records == []


def test_files_may_be_deleted_meanwhile(path, log, reader, monkeypatch):
    names = os.listdir(path.parent)
    reader.read_new()
    path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(journal, "names_in", lambda _: [*names, "b.jsonl"])
        assert reader.read_new() == []
    path.parent.rmdir()
    assert reader.read_new() == []
    log.append({"x": 1})
    assert reader.read_new() == [{"x": 1}]


# Many writers


class SlowDisk:
    """A file that takes little at a time."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        return self.file.write(content[:1000])

    def fileno(self):
        return self.file.fileno()


def test_threads_append_whole_lines(tmp_path, log, reader, monkeypatch):
    open_file = Path.open

    def open_slowly(path, mode, **options):
        file = open_file(path, mode, **options)
        return SlowDisk(file) if mode == "ab" else file

    monkeypatch.setattr(Path, "open", open_slowly)

    def append(thread):
        for index in range(25):
            log.append({"thread": thread, "index": index, "text": "x" * 10_000})

    threads = [threading.Thread(target=append, args=[number]) for number in range(8)]
    [thread.start() for thread in threads]
    found = []
    while any(thread.is_alive() for thread in threads):
        found += reader.read_new()
    found += reader.read_new()
    for number in range(8):
        assert [record["index"] for record in found if record["thread"] == number] == list(range(25))
    assert len(found) == 200


def test_processes_append_and_all_is_read(tmp_path, reader, caplog):
    workers = [start(APPEND, tmp_path, name) for name in "ab"]
    found = []
    while any(worker.poll() is None for worker in workers):
        found += reader.read_new()
    found += reader.read_new()
    for worker, name in zip(workers, "ab", strict=True):
        assert worker.communicate()[0] == "done\n" and worker.returncode == 0
        assert [record["index"] for record in found if record["who"] == name] == list(range(100))
    assert caplog.records == []


def test_what_was_appended_survives_the_death_of_its_writer(tmp_path, reader, caplog):
    writer = start(APPEND_AND_TELL, tmp_path)
    told = [writer.stdout.readline() for _ in range(20)]
    writer.kill()
    told += writer.stdout.readlines()
    writer.communicate()
    found = [record["index"] for record in reader.read_new()]
    assert found == list(range(len(found))) and len(found) >= len([line for line in told if line.endswith("\n")])
    assert caplog.records == []


# Errors


def test_a_reader_only_reads(tmp_path, reader):
    with pytest.raises(ValueError, match="^`process_id` must be given to append, got None$"):
        reader.append({"x": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_json_cannot_hold_leaves_no_trace(path, log, reader):
    with pytest.raises(TypeError):
        log.append({"x": {1, 2}})
    log.append({"x": 1})
    assert path.read_bytes() == b'{"first": 1}\n{"x": 1}\n'


class FullDisk:
    """A file on a disk with room for a number of bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(content[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 5, 12])
def test_a_torn_line_does_not_swallow_the_next_record(path, log, reader, monkeypatch, caplog, room):
    open_file = Path.open
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *args, **kw: FullDisk(open_file(*args, **kw), room))
        for _ in range(2):
            with pytest.raises(MediaError, match="cannot be written: No space left on device; make room") as raised:
                log.append({"second": 22})
    assert raised.value.path == path.parent.parent
    assert reader.read_new() == [{"first": 1}]
    log.append({"third": 3})
    log.append({"fourth": 4})
    assert reader.read_new() == [{"third": 3}, {"fourth": 4}]
    assert len(caplog.records) == (2 if room > 1 else 1 if room else 0)


def test_a_record_that_may_not_be_on_the_disk_is_an_error_and_harmless(path, log, reader, monkeypatch, caplog):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", fail)
        with pytest.raises(MediaError, match="cannot be written: Input/output error"):
            log.append({"second": 2})
    log.append({"second": 2})
    assert reader.read_new() == [{"first": 1}, {"second": 2}, {"second": 2}] and caplog.records == []


def test_a_folder_that_is_none_is_one_line(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for act in (lambda: Journal(file, "a").append({}), Journal(file, None).read_new):
        with pytest.raises(MediaError, match="^.*/file: cannot be [^\n]*$") as raised:
            act()
        assert raised.value.path == file


# The summary


def test_the_summary_has_a_line_per_record(tmp_path, reader):
    records = [{"x": 1}, {"y": "ä\n"}]
    path = tmp_path / "summary.jsonl"
    for written in (records * 1000, records, []):
        reader.write_summary(path, iter(written))
        assert [json.loads(line) for line in path.read_bytes().splitlines()] == written
    assert list(tmp_path.iterdir()) == [path]


def test_the_summary_stays_as_it_was_when_it_cannot_be_written(tmp_path, log):
    path, state = tmp_path / "summary.jsonl", tmp_path / "state"
    log = Journal(state, "a")
    log.write_summary(path, [{"x": 1}])

    def records():
        yield {"y": 1}
        raise KeyboardInterrupt

    for bad, error in ((records(), KeyboardInterrupt), ([{"y": 1}, {"z": {1}}], TypeError)):
        with pytest.raises(error):
            log.write_summary(path, bad)
        assert path.read_text() == '{"x": 1}\n' and list(state.iterdir()) == []


def test_the_summary_is_on_the_disk_before_it_is_in_place(tmp_path, reader, monkeypatch):
    path = tmp_path / "summary.jsonl"
    reader.write_summary(path, [{"x": 1}])

    def fail(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", fail)
    with pytest.raises(MediaError, match=f"^{path}: cannot be written: No space left on device; make room"):
        reader.write_summary(path, [{"x": 2}])
    assert path.read_text() == '{"x": 1}\n' and list(tmp_path.iterdir()) == [path]


def test_readers_of_the_summary_see_it_whole(tmp_path):
    path, stop, lengths = tmp_path / "summary.jsonl", threading.Event(), (500, 1000)
    logs = [Journal(tmp_path / "state", name) for name in "ab"]
    logs[0].write_summary(path, [{"x": 1}] * 500)

    def write(log, length):
        while not stop.is_set():
            log.write_summary(path, [{"x": 1}] * length)

    threads = [threading.Thread(target=write, args=pair) for pair in zip(logs, lengths, strict=True)]
    [thread.start() for thread in threads]
    try:
        seen = {len(path.read_text().splitlines()) for _ in range(100)}
    finally:
        stop.set()
        [thread.join() for thread in threads]
    assert seen <= set(lengths) and list((tmp_path / "state").iterdir()) == []
