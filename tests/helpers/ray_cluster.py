"""A Ray cluster of several nodes on this machine, whose nodes can be killed."""

import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

# A machine that tests share is slow now and then; its nodes are not dead. One that is dead refuses to be asked: the
# cluster knows after five seconds. One that is slow has five times twenty seconds.
PATIENCE = {"RAY_worker_register_timeout_seconds": "600"}
PATIENCE |= {"RAY_health_check_period_ms": "1000", "RAY_health_check_timeout_ms": "20000"}
PATIENCE["RAY_worker_niceness"] = "0"  # 15 would starve them beside anything else
START_S, STARTS = 60, 5


class Nodes:
    """The cluster: a head without room for workers, and nodes with room for one worker each.

    Args:
        count: nodes with room.
    """

    def __init__(self, count: int = 2):
        from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]  # an extra of its own

        head = {"num_cpus": 0, "include_dashboard": False, "no_monitor": True}
        self.cluster = Cluster(initialize_head=True, head_node_args={**head, **_settings()})
        self.nodes: list[Any] = []
        for _ in range(count):
            self.add()

    @property
    def address(self) -> str:
        return self.cluster.address

    def add(self) -> None:
        """Adds a node with room for one worker. Ray gives up early to start one where the machine is busy."""
        for left in reversed(range(STARTS)):
            try:
                self.nodes.append(self.cluster.add_node(num_cpus=1, **_settings()))
                return
            except Exception:
                if not left:
                    raise

    def kill_one(self, chance: random.Random) -> None:
        """Kills a node with all of its processes, as when a machine is taken away.

        Only the main thread can: Ray starts and ends nodes there.
        """
        self.cluster.remove_node(self.nodes.pop(chance.randrange(len(self.nodes))), allow_graceful=False)


def _patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """Waits until a node has started: Ray itself gives up after half a minute."""

    def get(*arguments: Any) -> Any:
        end_s = time.monotonic() + START_S
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > end_s:
                    raise
                time.sleep(0.5)

    return get


def _settings() -> dict[str, Any]:
    """A small object store, and ports that are known: a node does not wait for its agents then, which start slowly."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(4)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in held]
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return {"object_store_memory": 10**8, **dict(zip(names, ports, strict=True))}


@contextmanager
def running_nodes(count: int = 2) -> Iterator[Nodes]:
    """A cluster, to which this process is connected."""
    path = os.pathsep.join(filter(None, [os.path.dirname(os.path.dirname(__file__)), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**PATIENCE, "PYTHONPATH": path}.items():
            patch.setenv(name, value)
        patch.setattr(ray._private.services, "get_node", _patient(ray._private.services.get_node))
        nodes = Nodes(count)
        ray.init(address=nodes.address, logging_level="ERROR", log_to_driver=False)
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.cluster.shutdown()
