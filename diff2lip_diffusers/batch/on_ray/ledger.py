"""The ledger of a run on Ray: which worker has which pair in hand, so that a death can be put down to a pair."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

# A worker that dies so often in a row without a pair in hand would go on to do so.
MAX_IDLE_DEATHS = 3


@dataclass
class Death:
    """A worker that died.

    Args:
        worker: its unique name.
        in_hand: the records of the pairs that it had in hand, for whoever completes them.
        lost_node: whether its node is gone, too: then its pairs are hardly to blame.
    """

    worker: str
    in_hand: list[dict]
    lost_node: bool


@dataclass
class PairState:
    """What the ledger knows of a pair.

    Args:
        status: how it ended in this round; None if it did not.
        was_begun: whether a worker had it in hand before.
        is_suspect: whether a worker died while it had this pair and others in hand.
        node_deaths: how many nodes went down while it was the only pair in hand of a worker there.
    """

    status: str | None
    was_begun: bool
    is_suspect: bool
    node_deaths: int


@dataclass
class _Known:
    """What the ledger knows of a worker."""

    node: str
    in_hand: dict[str, dict] = field(default_factory=dict)


@dataclass
class _Calls:
    """The calls of a process of an actor that have not returned."""

    process: str
    node: str
    handle: Any
    count: int = 0


class Ledger:
    """Keeps book in an actor of its own, beside the program that started the run."""

    def __init__(self):
        self._workers: dict[str, _Known] = {}
        self._by_actor: dict[str, str] = {}
        self._idle_deaths: Counter[str] = Counter()
        self._statuses: dict[str, str] = {}
        self._begun: set[str] = set()
        self._suspects: set[str] = set()
        self._node_deaths: Counter[str] = Counter()
        # A handle keeps its actor alive, so it is kept no longer than a call lasts.
        self._calls: dict[str, _Calls] = {}

    def join(self, actor: str, worker: str, node: str, live_nodes: set[str]) -> tuple[Death | None, bool]:
        """Notes a new process of an actor; returns what its predecessor died with, and whether too many died so.

        Args:
            actor: the actor, which outlives its processes.
            worker: unique name of the process.
            node: its node.
            live_nodes: the nodes that are alive.
        """
        before = self._by_actor.get(actor)
        self._by_actor[actor], self._workers[worker] = worker, _Known(node)
        if before is None:
            return None, False
        if actor in self._calls:  # Ray makes them again
            self._calls[actor] = replace(self._calls[actor], process=worker, node=node, count=0)
        death = self._death_of(before, live_nodes)
        is_idle = not death.in_hand and not death.lost_node
        self._idle_deaths[actor] = self._idle_deaths[actor] + 1 if is_idle else 0
        return death, self._idle_deaths[actor] >= MAX_IDLE_DEATHS

    def lost(self, live_nodes: set[str]) -> list[Death]:
        """The workers on lost nodes that nobody replaced; called once a round is over."""
        lost = [name for name, known in self._workers.items() if known.node not in live_nodes]
        return [self._death_of(name, live_nodes) for name in lost]

    def _death_of(self, worker: str, live_nodes: set[str]) -> Death:
        known = self._workers.pop(worker, _Known(""))
        death = Death(worker, list(known.in_hand.values()), known.node not in live_nodes)
        if len(death.in_hand) > 1 or death.lost_node:
            self._suspects |= known.in_hand.keys()
        if death.lost_node and len(death.in_hand) == 1:
            self._node_deaths.update(known.in_hand.keys())
        return death

    def called(self, actor: str, process: str, node: str, handle: Any) -> None:
        """Notes a call of an actor.

        Args:
            actor: the actor.
            process: unique name of its present process.
            node: its node.
            handle: Ray's handle of the actor, in a list.
        """
        calls = self._calls.get(actor)
        if calls is None or calls.process != process:  # the calls of a dead process are made again
            calls = self._calls[actor] = _Calls(process, node, handle)
        calls.count += 1

    def returned(self, actor: str, process: str) -> None:
        """Notes that a call of an actor returns."""
        calls = self._calls.get(actor)
        if calls is not None and calls.process == process:
            calls.count -= 1
            if calls.count == 0:
                del self._calls[actor]

    def waiting_calls(self, live_nodes: set[str]) -> list[Any]:
        """The handles of actors whose calls wait for another node; none while calls of others go on."""
        if any(calls.node in live_nodes for calls in self._calls.values()):
            return []
        return [calls.handle[0] for calls in self._calls.values()]

    def states_of(self, outputs: list[str]) -> list[PairState]:
        """What is known of pairs."""
        return [
            PairState(
                self._statuses.get(output),
                output in self._begun,
                output in self._suspects,
                self._node_deaths[output],
            )
            for output in outputs
        ]

    def began(self, worker: str, record: dict) -> None:
        """Notes that a worker has a pair in hand."""
        self._begun.add(record["output"])
        if worker in self._workers:
            self._workers[worker].in_hand[record["output"]] = record

    def ended(self, worker: str, output: str) -> None:
        """Notes that a worker does not have that pair in hand any more."""
        if worker in self._workers:
            self._workers[worker].in_hand.pop(output, None)

    def finished(self, output: str, status: str) -> None:
        """Notes how a pair ended in this round."""
        self._statuses[output] = status
        self._suspects.discard(output)
        for known in self._workers.values():
            known.in_hand.pop(output, None)

    def open_again(self, outputs: list[str]) -> None:
        """Forgets how pairs ended that are tried again in the next round."""
        for output in outputs:
            self._statuses.pop(output, None)
            self._begun.discard(output)
