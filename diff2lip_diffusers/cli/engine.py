"""Arguments of `diff2lip batch` that say who does the work: processes, or the workers of a Ray cluster."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from ..batch.on_ray.connection import connected
from ..batch.on_ray.settings import RayCluster
from ..batch.run import ENGINES
from ..hub import default_dtype
from .arguments import POSITIVE


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    group = parser.add_argument_group("who does the work")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="processes",
        help="processes, on machines that share a folder or a store; or ray, the workers of a Ray cluster"
        " (default: processes)",
    )
    group.add_argument("--min-workers", type=POSITIVE, help="with --engine ray: the fewest workers (default: 1)")
    group.add_argument(
        "--max-workers",
        type=POSITIVE,
        help="with --engine ray: the most workers (default: as many as the cluster has GPUs or cores for)",
    )
    group.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="head of the Ray cluster (default: RAY_ADDRESS, or a cluster of this machine alone)",
    )


@contextmanager
def cluster_of(args: argparse.Namespace) -> Iterator[RayCluster | None]:
    """Gives the Ray cluster that the arguments name, and stays connected to it; None without Ray.

    Raises:
        ValueError: if arguments contradict each other.
        RayError: if it cannot be used.
    """
    given = {name: getattr(args, name) for name in ("min_workers", "max_workers", "ray_address")}
    if args.engine != "ray":
        named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
        if named:
            raise ValueError(f"{named[0]} is for --engine ray; add that, or leave it out")
        yield None
        return
    if args.processes > 1:
        raise ValueError("--processes is not for --engine ray; use --max-workers")
    fewest = args.min_workers or 1
    cluster = RayCluster(args.ray_address, fewest, args.max_workers, args.device, args.compile)
    with connected(cluster) as ray:
        device = args.device or ("cuda" if ray.cluster_resources().get("GPU") else "cpu")
        yield RayCluster(args.ray_address, fewest, args.max_workers, device, args.compile)


def driver_args(args: argparse.Namespace, cluster: RayCluster) -> argparse.Namespace:
    """The arguments for the process that starts the run: it loads the model on the CPU, in the workers' precision."""
    dtype = args.dtype or default_dtype(cluster.device or "cpu")
    return argparse.Namespace(**{**vars(args), "device": "cpu", "dtype": dtype, "compile": None})
