"""The connection to a Ray cluster, and the room for workers that it has."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from ...errors import Diff2LipError
from .settings import LOCAL, RayCluster, check_address

# Ray itself tries for more than a minute to reach a cluster that is not there, and then ends the process.
CONNECT_S = 5.0


class RayError(Diff2LipError):
    """A Ray cluster that cannot be used, or that ended a run."""


@dataclass(frozen=True)
class Room:
    """What each worker takes, and how many there may be.

    Args:
        num_cpus: cores of a worker.
        num_gpus: GPUs of a worker.
        device: on which it works.
        min_workers: the fewest workers.
        first_workers: as many as the cluster has room for when the run starts.
        max_workers: the most workers.
    """

    num_cpus: int
    num_gpus: int
    device: str
    min_workers: int
    first_workers: int
    max_workers: int


def installed_ray() -> ModuleType:
    """Ray with its data library.

    Raises:
        RayError: if it is not installed.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]  # an extra of its own
        import ray.data  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RayError("Ray is not installed; pip install 'diff2lip-diffusers[ray]'") from error
    return ray


@contextmanager
def connected(cluster: RayCluster) -> Iterator[ModuleType]:
    """Gives Ray, connected to the cluster; the connection ends with the block unless it was there before.

    Raises:
        RayError: if Ray is not installed or the cluster cannot be reached.
    """
    ray = installed_ray()
    if ray.is_initialized():
        yield ray
        return
    address = cluster.address or os.environ.get("RAY_ADDRESS") or LOCAL
    _check_reachable(address)
    try:
        # A cluster for one run has no dashboard, which would take seconds to start.
        own = {"include_dashboard": False} if address == LOCAL else {}
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False, **own)
    except Exception as error:  # Ray's own are of many classes, also of this one
        raise RayError(f"the Ray cluster at {address} cannot be used: {first_line(error)}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def room_in(ray: Any, cluster: RayCluster, device: str) -> Room:
    """The room for workers.

    Args:
        ray: connected to the cluster.
        cluster: how much of it to use.
        device: of the pipeline.

    Raises:
        RayError: if the cluster has no room for a worker.
    """
    kind = cluster.device or ("cpu" if device.startswith("cpu") else "cuda")
    resources = ray.cluster_resources()
    num_cpus = torch.get_num_threads() if kind == "cpu" else 1
    name, each = ("CPU", num_cpus) if kind == "cpu" else ("GPU", 1)
    fitting = sum(int(node["Resources"].get(name, 0) // each) for node in ray.nodes() if node["Alive"])
    if not fitting:
        has = f"has {resources.get(name, 0):g} {name}s, and no node has {each} for a worker"
        cure = "start it with GPUs, or use --device cpu" if name == "GPU" else "use fewer --threads"
        raise RayError(f"the Ray cluster {has}; {cure}")
    # A cluster that grows by itself may have no room yet for as many as are asked for.
    most = max(cluster.max_workers or fitting, cluster.min_workers)
    first = max(cluster.min_workers, min(fitting, most))
    return Room(num_cpus, 1 if kind == "cuda" else 0, kind, cluster.min_workers, first, most)


def first_line(error: BaseException) -> str:
    """The first line of an error that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _check_reachable(address: str) -> None:
    if address == LOCAL:
        return
    try:
        check_address(address)  # it may be that of the environment
    except ValueError as error:
        raise RayError(str(error)) from error
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise RayError(f"no Ray cluster answers at {address}: {reason}; check the address, or start one") from error
