"""The journal of a batch in an object store: each record is an object, whose name says what other processes need."""

import json
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

from ...stores.object_store import ObjectStore
from ...stores.urls import Location
from ..journal import Journal, Sift, parsed_records
from ..leases import name_of_key
from ..pair_records import DIED, DONE
from .pace import Pace

FOLDER = "results"
THREADS = 16


@dataclass(frozen=True)
class _Name:
    """The name of a record: `OUTPUT/STATUS.BYTES.MILLISECONDS.PROCESS.json`, where OUTPUT stands for the output."""

    output: str
    status: str
    size: int
    ended_ms: int
    process: str

    @classmethod
    def of(cls, record: dict) -> "_Name":
        # Whoever finds a dead process records the same, under the same name.
        ended_ms = 0 if record.get("status") == DIED else round(1000 * record.get("ended_s", 0))
        size, process = int(record.get("output_bytes") or 0), str(record.get("process", ""))
        return cls(name_of_key(record["output"]), str(record["status"]), size, ended_ms, process)

    @classmethod
    def parse(cls, name: str) -> "_Name | None":
        output, _, rest = name.removesuffix(".json").partition("/")
        parts = rest.split(".", 3)
        if len(parts) != 4 or not (parts[1].isdecimal() and parts[2].isdecimal()):
            return None
        return cls(output, parts[0], int(parts[1]), int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.output}/{self.status}.{self.size}.{self.ended_ms}.{self.process}.json"


class StoredJournal(Journal):
    """The records of all processes, as one process sees them.

    Args:
        store: the state of the batch.
        process_id: unique name of this process; None to read only.
        outputs: all outputs of which a record may be known by its name alone, with what others need; None to read
            every record.
        summary: where `results.jsonl` is, which holds records that need not be read one by one.
    """

    def __init__(
        self, store: ObjectStore, process_id: str | None, outputs: Collection[str] | None, summary: ObjectStore
    ):
        super().__init__("", process_id)
        self._store, self._summary = store, summary
        self._outputs = None if outputs is None else {name_of_key(output): output for output in outputs}
        self._seen: set[str] = set()
        self._own: list[dict] = []
        self._pace, self._is_first = Pace(), True
        self._reading = threading.Lock()

    def append(self, record: dict) -> None:
        """Writes a record, and returns when it is in the store. May be called from any thread."""
        if self._process_id is None:
            raise ValueError("`process_id` must be given to append, got None")
        name = str(_Name.of(record))
        self._store.write(f"{FOLDER}/{name}", json.dumps(record).encode())
        with self._lock:
            self._seen.add(name)
            self._own.append(json.loads(json.dumps(record)))

    def read_new(self, about: str | None = None, at_once: bool = False, sift: Sift | None = None) -> list[dict]:
        """The records added since the last call; those of other processes as far as this process has looked.

        Args:
            about: an output whose records are to be up to date.
            at_once: whether all records are to be up to date.
            sift: called with each record; those for which it returns False are dropped at once.
        """
        with self._reading:
            with self._lock:
                own, self._own = self._own, []
            names: list[str] = []
            if self._pace.is_due() or at_once:
                names = list(self._store.list(FOLDER, deep=True))
                self._pace.looked()
            elif about is not None:
                folder = name_of_key(about)
                names = [f"{folder}/{name}" for name in self._store.list(f"{FOLDER}/{folder}")]
            new = [name for name in names if name not in self._seen]
            records = [record for record in chain(own, self._read_all(new)) if sift is None or sift(record)]
            self._seen.update(new)
            self._is_first = False
            return records

    def write_summary(self, path: Location, records: Iterable[dict]) -> None:
        """Writes `results.jsonl`; a reader sees the old one or the whole new one."""
        self._summary.write("", b"".join(json.dumps(record).encode() + b"\n" for record in records))

    def _read_all(self, names: list[str]) -> Iterator[dict]:
        known = self._summarized(names)
        yield from known.values()
        parsed = {name: _Name.parse(name) for name in names if name not in known}
        by_name = {name: record for name, found in parsed.items() if found and (record := self._light(found))}
        yield from by_name.values()
        rest = [name for name in parsed if name not in by_name]
        with ThreadPoolExecutor(THREADS, thread_name_prefix="records") as threads:
            for name, content in zip(
                rest, threads.map(lambda n: self._store.read(f"{FOLDER}/{n}"), rest), strict=True
            ):
                yield from parsed_records(name, [content or b""])

    def _light(self, name: _Name) -> dict | None:
        """The record of a pair that is done, as far as its name tells; None if it must be read."""
        if self._outputs is None or name.status != DONE or name.output not in self._outputs:
            return None
        size = {"output_bytes": name.size} if name.size else {}
        output = self._outputs[name.output]
        return {"output": output, "status": DONE, "ended_s": name.ended_ms / 1000, "process": name.process, **size}

    def _summarized(self, names: list[str]) -> dict[str, dict]:
        """The records in `results.jsonl` that have one of these names; looked up once, at the start."""
        if not self._is_first or self._outputs is not None or not names:
            return {}
        wanted, found = set(names), {}
        for line in (self._summary.read("") or b"").splitlines():
            with suppress(ValueError, TypeError, KeyError, RecursionError):
                record = json.loads(line)
                name = str(_Name.of(record))
                if name in wanted:
                    found[name] = record
        return found
