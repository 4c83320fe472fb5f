"""Outputs of a batch below a URL: `results.jsonl`, and a hidden prefix that the processes share."""

import json
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ...errors import MediaError
from ...stores.object_store import ObjectInfo, ObjectStore
from ...stores.remote_files import RemoteFiles
from ...stores.urls import STATE_PROTOCOLS, Url
from ..folder import STATE_NAME, THREADS, BatchFolder, BatchPlan, new_run_number, parsed_plan
from ..heartbeat import Heartbeat
from ..journal import Journal
from ..leases import Leases
from ..pairs import RESULTS_NAME
from .heartbeat import StoredHeartbeat
from .journal import StoredJournal
from .leases import StoredLeases


class StoredBatch(BatchFolder):
    """The objects of a batch.

    Args:
        output_dir: the URL below which outputs and state are.
        files: the local folders, for unfinished outputs.

    Raises:
        ValueError: if processes cannot agree on work in that kind of store.
        StoreError: if the store cannot be used; also from the methods.
    """

    def __init__(self, output_dir: Url, files: RemoteFiles):
        if not output_dir.keeps_state:
            known = ", ".join(STATE_PROTOCOLS)
            raise ValueError(f"`output_dir` is {output_dir}, but a batch can only be kept in a folder, or on {known}")
        super().__init__("")
        self.output_dir, self.state = output_dir, output_dir / STATE_NAME
        self.results = output_dir / RESULTS_NAME
        self._files, self._summary = files, ObjectStore(output_dir / RESULTS_NAME)
        self._outputs_store, self._store = ObjectStore(output_dir), ObjectStore(output_dir / STATE_NAME)
        self._work: Path | None = None

    def heartbeat(self) -> Heartbeat:
        """The heartbeat of this process."""
        return StoredHeartbeat(self._store)

    def leases(self, process: Heartbeat) -> Leases:
        """The leases of this process."""
        if not isinstance(process, StoredHeartbeat):
            raise TypeError("`process` must be a heartbeat in this store")
        return StoredLeases(self._store, process)

    def journal(self, process_id: str | None, outputs: Collection[str] | None = None) -> Journal:
        """The journal, as one process sees it."""
        return StoredJournal(self._store, process_id, outputs, self._summary)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Inside the block, there is a local folder for unfinished outputs."""
        self._check_creates_once()
        with self._files.work_folder() as folder:
            self._work = folder
            yield

    def existing(self, outputs: Iterable[str]) -> set[str]:
        """The outputs that exist."""
        infos = self._infos(outputs)
        return {output for output, info in infos.items() if info is not None}

    def intact(self, sizes: Mapping[str, Set[int]]) -> set[str]:
        """The outputs that are objects of one of these sizes in bytes; of any size but 0 where none is known."""
        found = self._infos(sizes)
        counts = {output: info.size or 0 for output, info in found.items() if info is not None}
        return {output for output, size in counts.items() if (size in sizes[output] if sizes[output] else size > 0)}

    def write_plan(self, plan: BatchPlan, run: int | None = None) -> int:
        """Writes the plan of a run; returns the run's number, which is a new one by default."""
        run = new_run_number() if run is None else run
        self._store.write(f"runs/{run}.json", json.dumps(asdict(plan)).encode())
        return run

    def read_plan(self, run: int) -> BatchPlan:
        """Reads the plan of a run."""
        content = self._store.read(f"runs/{run}.json")
        path = self.state / f"runs/{run}.json"
        if content is None:
            raise MediaError(str(path), "does not exist any more; start the batch again")
        return parsed_plan(str(path), content.decode("utf-8", "replace"))

    def has_plan(self, run: int) -> bool:
        """Whether the plan of a run is there."""
        return self._store.info(f"runs/{run}.json") is not None

    def last_run(self) -> int:
        """The number of the run that started last."""
        latest = max(self._runs().items(), key=lambda item: item[1].changed_s or 0, default=None)
        if latest is None:
            raise MediaError(str(self.output_dir), "is not the folder of a batch; name the one given as --output-dir")
        return latest[0]

    def remove(self, output: str) -> bool:
        """Removes an output; returns whether there was one."""
        is_there = self._outputs_store.info(output) is not None
        self._outputs_store.remove(output)
        return is_there

    @contextmanager
    def local_copy(self, output: str) -> Iterator[Path]:
        """Gives a finished output as a local file."""
        path = self.new_work_path("", output)
        try:
            self._outputs_store.download(output, path)
            yield path
        except FileNotFoundError:
            yield path
        finally:
            self.discard(path)

    def put_in_place(self, made: Path, output: str) -> None:
        """Uploads a finished output; it appears under its final name when it is complete."""
        self._outputs_store.upload(made, output)
        self.discard(made)

    def discard_work_of(self, process_id: str) -> None:
        """Removes the unfinished outputs of this process."""
        if self._work is not None:
            shutil.rmtree(self._work_folder(process_id), ignore_errors=True)

    def discard_leftovers(self, is_alive: Callable[[str], bool]) -> None:
        """Does nothing: the local folders of killed processes go when the next one makes its own."""

    def _work_folder(self, process_id: str) -> Path:
        if self._work is None:
            raise RuntimeError("`working` was not entered")
        return self._work / (process_id or "copies")

    def _infos(self, outputs: Iterable[str]) -> dict[str, ObjectInfo | None]:
        """What the store tells of outputs, by listing their folders."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for output in outputs:
            wanted[output.rpartition("/")[0]].append(output)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="outputs") as threads:
            listed = zip(wanted.values(), threads.map(self._outputs_store.list, wanted), strict=True)
            return {output: found.get(output.rpartition("/")[2]) for names, found in listed for output in names}

    def _runs(self) -> dict[int, ObjectInfo]:
        found = self._store.list("runs")
        return {int(name[:-5]): info for name, info in found.items() if name[:-5].isdecimal()}

    def _plan_numbers(self) -> Iterable[int]:
        return self._runs()

    def _check_creates_once(self) -> None:
        """Makes sure that the store refuses to create an object twice; some servers ignore the question.

        Raises:
            MediaError: it does not.
        """
        name = f"probes/{secrets.token_hex(8)}"
        try:
            self._store.create(name, b"first")
            if self._store.create(name, b"second"):
                reason = "creates objects twice, so that processes cannot agree there; use a newer server"
                raise MediaError(str(self.output_dir), reason)
        finally:
            self._store.remove(name)
