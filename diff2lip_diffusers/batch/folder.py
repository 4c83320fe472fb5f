"""Output folder of a batch: outputs and `results.jsonl`, and a hidden folder that the processes share."""

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
    """The plan of one run, which its processes share.

    Args:
        started_s: start of the run, in seconds since 1970.
        num_processes: number of processes in the group.
        tries: how many failures end a pair.
        sizes: bytes of the files of each pair, by output; large files are expected to take long.
    """

    started_s: float
    num_processes: int
    tries: int
    sizes: Mapping[str, int]


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
        self.output_dir = Path(output_dir)
        self.state = self.output_dir / STATE_NAME
        self.results = self.output_dir / RESULTS_NAME
        self._numbers = count()

    def existing(self, outputs: Iterable[str]) -> set[str]:
        """The outputs that exist.

        Raises:
            MediaError: if a folder cannot be read.
        """
        wanted = defaultdict(set)
        for output in outputs:
            folder, _, name = output.rpartition("/")
            wanted[folder].add(name)
        with accessing(self.output_dir):
            found = {folder: names & self._names_in(folder) for folder, names in wanted.items()}
        return {f"{folder}/{name}" if folder else name for folder, names in found.items() for name in names}

    def write_plan(self, plan: BatchPlan) -> int:
        """Writes the plan of a run; returns the run's number.

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
        """Reads the plan of a run.

        Raises:
            MediaError: if it cannot be read.
        """
        path = self._plan_path(run)
        with accessing(self.output_dir):
            text = path.read_text(encoding="utf-8", errors="replace")
        try:
            return BatchPlan(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise MediaError(path, "is not a plan of this version, or was cut short; start the batch again") from error

    def last_run(self) -> int:
        """The number of the run that started last.

        Raises:
            MediaError: if there is none.
        """
        plans = (self.state / "runs").glob("[0-9]*.json")
        latest = max(plans, key=lambda path: path.stat().st_mtime, default=None)
        if latest is None:
            raise MediaError(self.output_dir, "is not the folder of a batch; name the one given as --output-dir")
        return int(latest.stem)

    def new_work_path(self, process_id: str, output: str) -> Path:
        """A path at which a process can write an output; its folder is new and holds nothing else."""
        folder = self._work_folder(process_id) / str(next(self._numbers))
        with accessing(self.output_dir):
            folder.mkdir(parents=True)
        return folder / Path(output).name

    def put_in_place(self, made: Path, output: str) -> None:
        """Moves a finished output to its final path; from then on it survives a power failure.

        Raises:
            MediaError: if it cannot be moved.
        """
        target = self.output_dir / output
        with accessing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_to_disk(made)
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
        for path in (self.state / "unfinished").glob("*"):
            if not is_alive(path.name):
                self.discard_work_of(path.name)
        for part in self.state.glob(".*.part"):
            if not is_alive(part.name[1:].rsplit(".", 2)[0]):
                with suppress(OSError):  # it may belong to another user
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
