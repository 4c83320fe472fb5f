"""Tells the ledger of the calls of an actor, so that somebody can end them when the actor's node is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LedgerCalls:
    """The calls of one process of an actor.

    Args:
        ray: connected to the cluster.
        ledger: of the run.
        name: unique name of the process.
    """

    def __init__(self, ray: Any, ledger: Any, name: str):
        here = ray.get_runtime_context()
        self._ledger, self._name = ledger, name
        self._actor, self._node, self._handle = here.get_actor_id(), here.get_node_id(), here.current_actor

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside the block, a call goes on."""
        # Ray delivers what one process sends in its order.
        self._ledger.called.remote(self._actor, self._name, self._node, [self._handle])
        try:
            yield
        finally:
            self._ledger.returned.remote(self._actor, self._name)
