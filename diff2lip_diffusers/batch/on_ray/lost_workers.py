"""Workers that died: what becomes of the pairs that they had in hand, and of calls that wait for a lost node."""

import threading
import time
from collections.abc import Callable
from typing import Any

from ..folder import BatchFolder
from ..journal import Journal
from ..pair_records import DIED, DONE, FAILED, sort_by_time
from ..work_queue import ProcessDiedError
from .ledger import Death

DIED_ALONE = "its worker died while it made this pair alone; memory may have run out, or its files are damaged"
# So long Ray may take to find a node for workers of a lost one, while nobody else works any more.
PATIENCE_S = 60.0
LOOK_S = 2.0


def settle(folder: BatchFolder, journal: Journal, death: Death, on_failed: Callable[[dict], object]) -> None:
    """Records what the death of a worker means for the pairs that it had in hand.

    Args:
        folder: of the batch.
        journal: to write to.
        death: of the worker.
        on_failed: called with the record of a pair that failed by it.

    Raises:
        MediaError: if the folder cannot be read or written.
    """
    folder.discard_work_of(death.worker)
    # A worker may die when it has recorded a pair, and before it tells.
    begun = [record for record in death.in_hand if not is_done(folder, record["output"])]
    for record in begun:
        if len(begun) == 1 and not death.lost_node:
            failed = record | {"status": FAILED, "error": DIED_ALONE, "error_type": ProcessDiedError.__name__}
            journal.append(failed)
            on_failed(failed)
        else:
            count = {"num_suspects": len(begun), "ended_s": record["ended_s"]}
            journal.append({"output": record["output"], "status": DIED, "process": death.worker, **count})


def is_done(folder: BatchFolder, output: str) -> bool:
    """Whether some worker finished a pair, and its output is there."""
    records = sort_by_time(folder.journal(None).read_new(output))
    done = [record for record in records if record["output"] == output and record["status"] == DONE]
    sizes = {record.get("output_bytes", 0) for record in done}
    return bool(sizes) and output in folder.intact({output: sizes})


class LostCalls(threading.Thread):
    """Ends calls that wait for another node in the place of a lost one, once nothing else is left to be done.

    Ray keeps such calls until there is room again, be it for ever. Inside the block they end by an error after a
    while, so that those who wait for them go on.

    Args:
        ray: connected to the cluster.
        ledger: of the run.
    """

    def __init__(self, ray: Any, ledger: Any):
        super().__init__(name="lost calls", daemon=True)
        self._ray, self._ledger, self._ended = ray, ledger, threading.Event()
        self.count = 0

    def __enter__(self) -> "LostCalls":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        """Looks every few seconds."""
        since_s: float | None = None
        try:
            while not self._ended.wait(LOOK_S):
                waiting = self._ray.get(self._ledger.waiting_calls.remote(live_nodes(self._ray)))
                now_s = time.monotonic()
                since_s = (since_s or now_s) if waiting else None
                if since_s is not None and now_s - since_s >= PATIENCE_S:
                    self._end(waiting)
                    since_s = None
        except self._ray.exceptions.RayError:
            return  # the cluster is gone, as those learn who wait for the calls

    def _end(self, actors: list[Any]) -> None:
        for actor in actors:
            self._ray.kill(actor)
        self.count += len(actors)


def live_nodes(ray: Any) -> set[str]:
    """The nodes that are alive."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}
