"""The folder of a batch: outputs and `results.jsonl` for people, and a hidden folder for what processes share."""

import json
import os
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from ..errors import MediaError
from .heartbeat import accessing, names_in
from .pairs import RESULTS_NAME

STATE_NAME = ".diff2lip"


@dataclass(frozen=True)
class BatchPlan:
    """What a run sets out to do.

    Args:
        started_s: when, in seconds since 1970.
        num_processes: how many work together.
        tries: how often a pair may fail.
        sizes: bytes of the files of each pair, by output; what is large takes long.
    """

    started_s: float
    num_processes: int
    tries: int
    sizes: Mapping[str, int]


class BatchFolder:
    """Where everything of a batch lies.

    Args:
        output_dir: the folder of the outputs.

    Attributes:
        output_dir: the same.
        state: hidden folder in it, for leases, logs and what is half done.
        results: the list of what became of each pair.
    """

    def __init__(self, output_dir: str | Path):
        self.output_dir = Path(output_dir)
        self.state = self.output_dir / STATE_NAME
        self.results = self.output_dir / RESULTS_NAME
        self._numbers = count()

    def existing(self, outputs: Iterable[str]) -> set[str]:
        """Those of the outputs that are there.

        Raises:
            MediaError: if a folder cannot be read.
        """
        wanted = defaultdict(set)
        for output in outputs:
            folder, _, name = output.rpartition("/")
            wanted[folder].add(name)
        with accessing(self.output_dir):
            there = {folder: names & self._names_in(folder) for folder, names in wanted.items()}
        return {f"{folder}/{name}" if folder else name for folder, names in there.items() for name in names}

    def write_plan(self, plan: BatchPlan) -> int:
        """Makes the plan of a run known; returns the run's number.

        Raises:
            MediaError: if it cannot be written.
        """
        run = time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)
        with accessing(self.output_dir):
            path = self._plan_path(run)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.part")
            part.write_text(json.dumps(asdict(plan)), encoding="utf-8")
            part.replace(path)
        return run

    def read_plan(self, run: int) -> BatchPlan:
        """The plan of a run.

        Raises:
            MediaError: if it cannot be read.
        """
        path = self._plan_path(run)
        with accessing(self.output_dir):
            text = path.read_text(encoding="utf-8", errors="replace")
        try:
            return BatchPlan(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise MediaError(path, "is no plan of this version, or was cut short; start the batch again") from error

    def last_run(self) -> int:
        """The number of the run that started last.

        Raises:
            MediaError: if there was none.
        """
        plans = (self.state / "runs").glob("[0-9]*.json")
        latest = max(plans, key=lambda path: path.stat().st_mtime, default=None)
        if latest is None:
            raise MediaError(self.output_dir, "is no folder of a batch; name the one given as --output-dir")
        return int(latest.stem)

    def new_work_path(self, process_id: str, output: str) -> Path:
        """Where a process is to make an output; in a folder of its own."""
        folder = self._work_folder(process_id) / str(next(self._numbers))
        with accessing(self.output_dir):
            folder.mkdir(parents=True)
        return folder / Path(output).name

    def put_in_place(self, made: Path, output: str) -> None:
        """Moves a finished output to its name; from then on it outlives a power failure.

        Raises:
            MediaError: if it cannot be moved.
        """
        target = self.output_dir / output
        with accessing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_to_disk(made)
            made.replace(target)
            _sync_to_disk(target.parent)
        self.drop(made)

    def drop(self, made: Path) -> None:
        """Removes what there is of an output that is given up."""
        shutil.rmtree(made.parent, ignore_errors=True)

    def drop_work_of(self, process_id: str) -> None:
        """Removes what a process has half done."""
        shutil.rmtree(self._work_folder(process_id), ignore_errors=True)

    def drop_left_over(self, is_alive: Callable[[str], bool]) -> None:
        """Removes what processes have half done that are not alive any more."""
        for path in (self.state / "unfinished").glob("*"):
            if not is_alive(path.name):
                self.drop_work_of(path.name)
        for part in self.state.glob(".*.part"):
            if not is_alive(part.name[1:].rsplit(".", 2)[0]):
                with suppress(OSError):  # it may be another user's
                    part.unlink()

    def _names_in(self, folder: str) -> set[str]:
        try:
            return set(names_in(self.output_dir / folder))
        except NotADirectoryError:
            return set()

    def _work_folder(self, process_id: str) -> Path:
        return self.state / "unfinished" / process_id

    def _plan_path(self, run: int) -> Path:
        return self.state / "runs" / f"{run}.json"


def _sync_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
