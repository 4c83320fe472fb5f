"""Journal of records in a shared folder: each process appends to its own file and reads all files."""

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ..stores.urls import Location
from .heartbeat import accessing, names_in

logger = logging.getLogger(__name__)

# A journal may have millions of lines; so many bytes are read at a time.
CHUNK_BYTES = 8 * 2**20
Sift = Callable[[dict], bool]


class Journal:
    """The records of all processes, as one process sees them.

    If `append` raises, the record may have reached the disk all the same; appending it again may write it twice.

    Args:
        folder: folder that the processes share; created if needed.
        process_id: unique name of this process, such as `Heartbeat.id`; None to read only.
    """

    def __init__(self, folder: str | Path, process_id: str | None):
        self._shared, self._folder = Path(folder), Path(folder) / "results"
        self._process_id = process_id
        self._lock, self._torn = threading.Lock(), False
        self._offsets: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def append(self, record: dict) -> None:
        """Appends a record, and returns when it is on the disk. May be called from any thread.

        Raises:
            ValueError: if this journal is read-only.
            TypeError: if JSON cannot hold the record.
            MediaError: if the folder cannot be written.
        """
        if self._process_id is None:
            raise ValueError("`process_id` must be given to append, got None")
        line = _line_of(record)
        with self._lock, accessing(self._shared):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Opened for each record: closing makes it visible to other machines over NFS, and a file that somebody
            # deleted is created again.
            start, self._torn = b"\n" if self._torn else b"", True
            with (self._folder / f"{self._process_id}.jsonl").open("ab", buffering=0) as file:
                _write_all(file, start + line)
            self._torn = False

    def read_new(self, about: str | None = None, at_once: bool = False, sift: Sift | None = None) -> list[dict]:
        """The records added since the last call, each process's own in order. Call it from one thread at a time.

        Args:
            about: an output whose records must be up to date; here, all of them are.
            at_once: whether all records must be up to date.
            sift: called with each record; those for which it returns False are dropped at once.

        A line that is not a JSON object is skipped with a warning. An incomplete line is left for a later call.

        Raises:
            MediaError: if the folder cannot be read.
        """
        with accessing(self._shared):
            names = sorted(name for name in names_in(self._folder) if name.endswith(".jsonl"))
            new = (record for name in names for record in self._read_on(name))
            return [record for record in new if sift is None or sift(record)]

    def write_summary(self, path: Location, records: Iterable[dict]) -> None:
        """Writes a file with one record a line; a reader sees the old file or the whole new one.

        Args:
            path: the file, on the file system of the folder.
            records: the records to write, in this order.

        Raises:
            TypeError: if JSON cannot hold a record.
            MediaError: if the file or the folder cannot be written.
        """
        part = self._shared / f".{self._process_id or 'summary'}.{secrets.token_hex(4)}.part"
        try:
            with accessing(path):
                self._shared.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as file:
                    file.writelines(map(_line_of, records))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(str(path))
        finally:
            with suppress(OSError):
                part.unlink()

    def _read_on(self, name: str) -> Iterator[dict]:
        with suppress(FileNotFoundError):
            size = (self._folder / name).stat().st_size
            if size != self._sizes.get(name):
                for lines in self._new_lines(name, size):
                    yield from parsed_records(name, lines)

    def _new_lines(self, name: str, size: int) -> Iterator[list[bytes]]:
        """The lines that a file got since, some at a time."""
        offset = self._offsets.get(name, 0)
        if size < offset:  # somebody deleted it, and its writer created it again
            offset = 0
        at_a_time = CHUNK_BYTES
        with (self._folder / name).open("rb") as file:
            while True:
                file.seek(offset)
                # Zeros stand for bytes that an NFS server has not received yet, though it has later ones.
                content = file.read(at_a_time).partition(b"\0")[0]
                whole = content[: content.rfind(b"\n") + 1]
                self._offsets[name], self._sizes[name] = offset + len(whole), offset + len(content)
                yield whole.split(b"\n")
                if len(content) < at_a_time:
                    return
                offset += len(whole)
                at_a_time = CHUNK_BYTES if whole else 2 * at_a_time


def _line_of(record: dict) -> bytes:
    return json.dumps(record).encode() + b"\n"


def _write_all(file: FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def parsed_records(name: str, lines: Iterable[bytes]) -> list[dict]:
    """The records in the lines of a file; warns of lines that are none."""
    records = []
    for line in filter(None, lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append(record)
        else:
            logger.warning("%s: skipped a line that is not a record: %r", name, line[:40])
    return records
