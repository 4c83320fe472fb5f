"""Output folder of a batch: outputs and `results.jsonl`, and a hidden folder that the processes share."""

import json
import os
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from stat import S_ISREG
from unicodedata import normalize

from ..errors import MediaError
from ..stores.urls import Location
from .heartbeat import Heartbeat, accessing, names_in, read_if_there
from .journal import Journal
from .leases import Leases
from .pairs import RESULTS_NAME

STATE_NAME = ".diff2lip"
# A file server answers slowly, but many requests at a time.
THREADS = 16


@dataclass(frozen=True)
class BatchPlan:
    """The plan of one run, which its processes share.

    Args:
        started_s: start of the run, in seconds since 1970.
        num_processes: number of processes in the group.
        tries: how many failures end a pair.
        sizes: bytes of the files of each pair, by output; large files are expected to take long.
        forgiven: how many failures of each output do not count any more.

    Raises:
        TypeError: if a value is of another type.
    """

    started_s: float
    num_processes: int
    tries: int
    sizes: Mapping[str, int]
    forgiven: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        numbers = [self.started_s, self.num_processes, self.tries]
        for counts in (self.sizes, self.forgiven):
            if not isinstance(counts, Mapping):
                raise TypeError(f"{type(counts).__name__} is no mapping")
            numbers += counts.values()
        if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers):
            raise TypeError("a value is no number")


class BatchFolder:
    """The files of a batch.

    Args:
        output_dir: folder of the outputs.

    Attributes:
        output_dir: the same.
        state: hidden folder in it, for plans, leases, journals and unfinished outputs.
        results: file with one record a pair.
    """

    def __init__(self, output_dir: str | Path):
        self._dir = Path(output_dir)
        self.output_dir: Location = self._dir
        self.state: Location = self._dir / STATE_NAME
        self.results: Location = self._dir / RESULTS_NAME
        self._state = self._dir / STATE_NAME
        self._numbers = count()
        self._planned: set[str] | None = None

    def heartbeat(self) -> Heartbeat:
        """The heartbeat of this process."""
        return Heartbeat(self._state)

    def leases(self, process: Heartbeat) -> Leases:
        """The leases of this process."""
        return Leases(self._state, process)

    def journal(self, process_id: str | None, outputs: Collection[str] | None = None) -> Journal:
        """The journal, as one process sees it.

        Args:
            process_id: unique name of this process; None to read only.
            outputs: for these, it is enough to know that they are done; None to know all.
        """
        return Journal(self._state, process_id)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Inside the block, outputs can be made."""
        yield

    def existing(self, outputs: Iterable[str]) -> set[str]:
        """The outputs that exist, be they files or folders; names match in any Unicode normalization.

        Raises:
            MediaError: if a folder cannot be read.
        """
        wanted: dict[str, dict[str, str]] = defaultdict(dict)
        for output in outputs:
            folder, _, name = output.rpartition("/")
            wanted[folder][normalize("NFC", name)] = output
        with accessing(self.output_dir):
            found = {folder: names.keys() & self._names_in(folder) for folder, names in wanted.items()}
        return {wanted[folder][name] for folder, names in found.items() for name in names}

    def intact(self, sizes: Mapping[str, Set[int]]) -> set[str]:
        """The outputs that are files of one of these sizes in bytes; of any size but 0 where none is known.

        Raises:
            MediaError: if a folder cannot be read.
        """
        with accessing(self.output_dir), ThreadPoolExecutor(THREADS, thread_name_prefix="size") as threads:
            found = dict(zip(sizes, threads.map(self._size_of, sizes), strict=True))
        return {
            output
            for output, known in sizes.items()
            if (size := found[output]) is not None and (size in known if known else size > 0)
        }

    def write_plan(self, plan: BatchPlan, run: int | None = None) -> int:
        """Writes the plan of a run; returns the run's number, which is a new one by default.

        Raises:
            MediaError: if it cannot be written.
        """
        run = new_run_number() if run is None else run
        with accessing(self.output_dir):
            path = self._plan_path(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(json.dumps(asdict(plan)), encoding="utf-8")
            part.replace(path)
        return run

    def read_plan(self, run: int) -> BatchPlan:
        """Reads the plan of a run.

        Raises:
            MediaError: if it cannot be read.
        """
        path = self._plan_path(run)
        with accessing(self.output_dir):
            text = path.read_text(encoding="utf-8", errors="replace")
        return parsed_plan(path, text)

    def has_plan(self, run: int) -> bool:
        """Whether the plan of a run is there.

        Raises:
            MediaError: if the folder cannot be read.
        """
        with accessing(self.output_dir):
            return read_if_there(self._plan_path(run)) is not None

    def last_run(self) -> int:
        """The number of the run that started last.

        Raises:
            MediaError: if there is none.
        """
        latest = max(self._plans(), key=lambda path: path.stat().st_mtime, default=None)
        if latest is None:
            raise MediaError(self._dir, "is not the folder of a batch; name the one given as --output-dir")
        return int(latest.stem)

    def was_planned(self, output: str) -> bool:
        """Whether an earlier run planned to make an output."""
        if self._planned is None:
            self._planned = set()
            for run in self._plan_numbers():
                with suppress(MediaError):
                    self._planned |= self.read_plan(run).sizes.keys()
        return output in self._planned

    def new_work_path(self, process_id: str, output: str) -> Path:
        """A path at which a process can write an output; its folder is new and holds nothing else."""
        folder = self._work_folder(process_id) / str(next(self._numbers))
        with accessing(self.output_dir):
            folder.mkdir(parents=True)
        return folder / Path(output).name

    def remove(self, output: str) -> bool:
        """Removes an output if it is a file; returns whether it was one.

        Raises:
            MediaError: if it cannot be removed.
        """
        path = self._dir / output
        is_file = path.is_file()
        if is_file:
            with accessing(path):
                path.unlink()
        return is_file

    @contextmanager
    def local_copy(self, output: str) -> Iterator[Path]:
        """Gives a finished output as a local file, which may be missing."""
        yield self._dir / output

    def put_in_place(self, made: Path, output: str) -> None:
        """Moves a finished output to its final path; from then on it survives a power failure.

        Raises:
            MediaError: if it cannot be moved.
        """
        target = self._dir / output
        with accessing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_to_disk(made)
            if target.is_dir():
                raise MediaError(target, "cannot be written: a folder is in its place; move that away")
            made.replace(target)
            _sync_to_disk(target.parent)
        self.discard(made)

    def discard(self, made: Path) -> None:
        """Removes an unfinished output and its folder."""
        shutil.rmtree(made.parent, ignore_errors=True)

    def discard_work_of(self, process_id: str) -> None:
        """Removes the unfinished outputs of a process."""
        shutil.rmtree(self._work_folder(process_id), ignore_errors=True)

    def discard_leftovers(self, is_alive: Callable[[str], bool]) -> None:
        """Removes the unfinished outputs and partial files of dead processes."""
        for path in (self._state / "unfinished").glob("*"):
            if not is_alive(path.name):
                self.discard_work_of(path.name)
        for part in self._state.glob(".*.part"):
            if not is_alive(part.name[1:].rsplit(".", 2)[0]):
                with suppress(OSError):  # it may belong to another user
                    part.unlink()

    def _names_in(self, folder: str) -> set[str]:
        try:
            return {normalize("NFC", name) for name in names_in(self._dir / folder)}
        except NotADirectoryError:
            return set()

    def _size_of(self, output: str) -> int | None:
        """The size of an output in bytes; None if it is no file."""
        try:
            status = os.stat(self._dir / output)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if S_ISREG(status.st_mode) else None

    def _plans(self) -> list[Path]:
        return [path for path in (self._state / "runs").glob("*.json") if path.stem.isdecimal()]

    def _plan_numbers(self) -> Iterable[int]:
        return (int(path.stem) for path in self._plans())

    def _work_folder(self, process_id: str) -> Path:
        return self._state / "unfinished" / process_id

    def _plan_path(self, run: int) -> Path:
        return self._state / "runs" / f"{run}.json"


def new_run_number() -> int:
    """A number for a run, which grows with the time and fits into 63 bits."""
    return time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)


def parsed_plan(path: str | Path, text: str) -> BatchPlan:
    """The plan in a text.

    Raises:
        MediaError: it is none.
    """
    try:
        return BatchPlan(**json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise MediaError(path, "is not a plan of this version, or was cut short; start the batch again") from error


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
