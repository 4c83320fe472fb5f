"""The actor that takes parts of long pairs, as a process of the batch: parts are shared through the folder."""

from typing import Any

import numpy as np

from ...lipsync.options import checked_options
from ..pair_records import DONE
from ..planning import joined, options_by_output
from ..records import BatchRecords
from ..split_workers import SplitWorker
from ..supervisor import Reports
from ..work_queue import WorkQueue
from .connection import installed_ray
from .ledger_calls import LedgerCalls
from .pair_actor import STOPPED, cause_of_stop
from .worker_setup import WorkerSetup, new_worker_name


class SeatActor:
    """Works from one call until no pair is open.

    Args:
        setup: what all workers of the run share.
        pairs: Ray's reference to the open pairs, in a tuple.
    """

    def __init__(self, setup: WorkerSetup, pairs: tuple[Any]):
        self._setup, self._pairs, self._ray = setup, pairs, installed_ray()
        self._calls = LedgerCalls(self._ray, setup.ledger, new_worker_name())
        setup.begin()
        self._pipe = setup.load_pipe(self._ray)

    def __call__(self, seats: dict[str, np.ndarray]) -> dict[str, list[str]]:
        """Works on all pairs; returns one row."""
        try:
            with self._calls.noted():
                self._work()
        except Exception as error:  # raised from here, Ray would only leave the seat out
            return {"status": [STOPPED], "error": [cause_of_stop(error)]}
        return {"status": [DONE], "error": [""]}

    def _work(self) -> None:
        setup, pairs = self._setup, self._ray.get(self._pairs[0])
        batch_size = checked_options(setup.options, "sync_batch").batch_size
        folder, files = setup.open_folder()
        with joined(folder) as (heartbeat, leases):
            setup.check_shared(folder)
            plan, journal = folder.read_plan(setup.run), folder.journal(heartbeat.id)
            queue = WorkQueue(
                pairs, plan.sizes, folder.intact, leases, journal, plan.tries, plan.forgiven, keep_done=False
            )
            records = BatchRecords(self._pipe, heartbeat.id, 0)
            by_output = options_by_output(pairs, setup.options)
            state = folder, leases, heartbeat.id, queue, records, by_output, Reports(), files
            SplitWorker(self._pipe, *state).work(batch_size)
