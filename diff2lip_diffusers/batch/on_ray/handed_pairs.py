"""The pairs that Ray hands to one worker, in the shape of a work queue."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from ..journal import Journal
from ..pairs import Pair
from .ledger import PairState


@dataclass(frozen=True)
class HandedPair:
    """A pair of which somebody waits for the end.

    Args:
        pair: the pair.
        state: what the ledger knows of it.
        has_twin: whether other pairs have the same video.
        status: how it ends.
    """

    pair: Pair
    state: PairState
    has_twin: bool
    status: Future[str]


class HandedPairs:
    """Takes pairs from any thread, and gives them to a worker as a [`WorkQueue`] does.

    Args:
        journal: of this worker.
        on_finish: called with each record when it is on the disk.
    """

    def __init__(self, journal: Journal, on_finish: Callable[[dict], None]):
        self._journal, self._on_finish = journal, on_finish
        self._changed = threading.Condition()
        self._waiting: list[HandedPair] = []
        self._handed: dict[str, HandedPair] = {}
        self._ended_by: BaseException | None = None

    def hand(self, pair: Pair, state: PairState, has_twin: bool) -> Future[str]:
        """Hands over a pair; returns how it ends, once it does."""
        handed = HandedPair(pair, state, has_twin, Future())
        with self._changed:
            if self._ended_by is not None:
                handed.status.set_exception(self._ended_by)
                return handed.status
            self._waiting.append(handed)
            self._handed[pair.output] = handed
            self._changed.notify_all()
        return handed.status

    def end(self, error: BaseException) -> None:
        """Ends all pairs, also later ones, by an error."""
        with self._changed:
            self._ended_by = error
            for handed in self._handed.values():
                handed.status.set_exception(error)
            self._handed.clear()
            self._waiting.clear()

    def take(self, suspect: bool = False) -> Pair | None:
        """Takes the next pair that is a suspect, or is none; None if no such pair waits."""
        with self._changed:
            fitting = (handed for handed in self._waiting if handed.state.is_suspect == suspect)
            found = next(fitting, None)
            if found is None:
                return None
            self._waiting.remove(found)
            return found.pair

    def wait_for_more(self) -> bool:
        """Waits until a pair waits; always True, as the worker ends with its process."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            return True

    def finish(self, record: dict) -> None:
        """Records the outcome of a pair."""
        self._journal.append(record)
        self._on_finish(record)
        with self._changed:
            handed = self._handed.pop(record["output"], None)
        if handed is not None:
            handed.status.set_result(record["status"])

    def unseen_deaths(self, pair: Pair) -> int:
        """How many nodes went down while only this pair was in hand there."""
        with self._changed:
            handed = self._handed.get(pair.output)
        return 0 if handed is None else handed.state.node_deaths

    def has_twin(self, pair: Pair) -> bool:
        """Whether other pairs of the run have the same video."""
        with self._changed:
            handed = self._handed.get(pair.output)
        return handed is not None and handed.has_twin

    def count(self) -> int:
        """How many pairs have not ended."""
        with self._changed:
            return len(self._handed)
