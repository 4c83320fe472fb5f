"""The actor that lip-syncs pairs: holds the model once, and works on several pairs at a time."""

import pickle
import threading
from contextlib import ExitStack
from typing import Any

import numpy as np

from ...errors import Diff2LipError
from ...lipsync.options import SyncOptions, checked_options
from ..pair_records import DONE
from ..pairs import Pair
from ..records import BatchRecords
from ..supervisor import Reports
from ..workers import PairWorker
from .connection import RayError, first_line, installed_ray
from .handed_pairs import HandedPairs
from .ledger import Death
from .ledger_calls import LedgerCalls
from .lost_workers import is_done, live_nodes, settle
from .metrics import WorkerMetrics
from .worker_setup import WorkerSetup, new_worker_name

# How a pair ends whose worker cannot work: the run ends, too.
STOPPED = "stopped"


class PairActor:
    """Takes rows of pairs, and returns how they ended; Ray Data calls it from several threads.

    Args:
        setup: what all workers of the run share.
    """

    def __init__(self, setup: WorkerSetup):
        self._ray, self._ledger, self._name = installed_ray(), setup.ledger, new_worker_name()
        self._calls = LedgerCalls(self._ray, setup.ledger, self._name)
        self._resources = ExitStack()
        self._stopped: str | None = None
        try:
            death, is_hopeless = self._join()
            if is_hopeless:
                raise RayError("workers die before they begin a pair; see the logs of Ray")
            self._start(setup, death)
        except Diff2LipError as error:  # raised here, Ray would start the actor again and again
            self._stopped = first_line(error)

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Lip-syncs pairs.

        Args:
            rows: `group`: pickled pairs, each with whether another pair has the same video.

        Returns:
            `output`, `status` and `error` of each.
        """
        handed = [one for group in rows["group"] for one in pickle.loads(group)]
        pairs = [pair for pair, _ in handed]
        if self._stopped is not None:
            return _ends(pairs, [STOPPED] * len(pairs), self._stopped)
        try:
            with self._calls.noted():
                return _ends(pairs, self._make(pairs, [has_twin for _, has_twin in handed]))
        except Exception as error:  # raised from here, Ray would only leave the pairs out
            return _ends(pairs, [STOPPED] * len(pairs), cause_of_stop(error))

    def _join(self) -> tuple[Death | None, bool]:
        here = self._ray.get_runtime_context()
        alive = live_nodes(self._ray)
        joined = self._ledger.join.remote(here.get_actor_id(), self._name, here.get_node_id(), alive)
        return self._ray.get(joined)

    def _start(self, setup: WorkerSetup, death: Death | None) -> None:
        setup.begin()
        self._folder, files = setup.open_folder()
        self._resources.enter_context(self._folder.working())
        setup.check_shared(self._folder)
        self._journal = self._folder.journal(self._name)
        self._pairs = HandedPairs(self._journal, self._finished)
        self._metrics = WorkerMetrics(self._ray)
        if death is not None:
            settle(self._folder, self._journal, death, self._finished)
        pipe = setup.load_pipe(self._ray)
        self._common, self._options = setup.options, dict[str, SyncOptions]()
        records, reports = BatchRecords(pipe, self._name, 0), LedgerReports(self._ledger, self._name, self._ray)
        leases = self._folder.leases(self._folder.heartbeat())  # the run holds one for all of its workers
        state = self._folder, leases, self._name, self._pairs, records, self._options, reports, files
        self._worker = PairWorker(pipe, *state)
        batch_size = checked_options(setup.options, "sync_batch").batch_size
        threading.Thread(target=self._work, args=(batch_size,), name="work", daemon=True).start()

    def _work(self, batch_size: int | None) -> None:
        try:
            self._worker.work(batch_size)
        except BaseException as error:
            self._pairs.end(error if isinstance(error, Diff2LipError) else RayError(cause_of_stop(error)))

    def _make(self, pairs: list[Pair], has_twin: list[bool]) -> list[str]:
        """Makes pairs unless that happened before; returns how they ended."""
        states = self._ray.get(self._ledger.states_of.remote([pair.output for pair in pairs]))
        ends: list[Any] = []
        for pair, state, twin in zip(pairs, states, has_twin, strict=True):
            if state.status is not None:
                ends.append(state.status)
            elif state.was_begun and is_done(self._folder, pair.output):
                ends.append(DONE)
            else:
                self._options[pair.output] = SyncOptions(**{**self._common, **pair.options})
                ends.append(self._pairs.hand(pair, state, bool(twin)))
        self._metrics.show_in_hand(self._pairs.count())
        statuses = [end if isinstance(end, str) else end.result() for end in ends]
        for pair in pairs:
            self._options.pop(pair.output, None)
        self._metrics.show_in_hand(self._pairs.count())
        return statuses

    def _finished(self, record: dict) -> None:
        self._ray.get(self._ledger.finished.remote(record["output"], record["status"]))
        self._metrics.count(record)


class LedgerReports(Reports):
    """Tells the ledger which pairs a worker has in hand."""

    def __init__(self, ledger: Any, name: str, ray: Any):
        super().__init__()
        self._ledger, self._name, self._ray = ledger, name, ray

    def began(self, record: dict) -> None:
        """Tells that this worker has a pair in hand, and returns when that is noted."""
        self._ray.get(self._ledger.began.remote(self._name, record))

    def ended(self, output: str) -> None:
        """Tells that this worker does not have that pair in hand any more."""
        self._ledger.ended.remote(self._name, output)


def cause_of_stop(error: BaseException) -> str:
    """Why a worker cannot work, in one line."""
    return first_line(error) if isinstance(error, Diff2LipError) else f"{type(error).__name__}: {first_line(error)}"


def _ends(pairs: list[Pair], statuses: list[str], error: str = "") -> dict[str, list[str]]:
    return {"output": [pair.output for pair in pairs], "status": statuses, "error": [error] * len(pairs)}
