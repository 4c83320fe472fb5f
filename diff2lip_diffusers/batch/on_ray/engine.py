"""Runs the open pairs of a batch on a Ray cluster, until each is done or has failed."""

import copy
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from ...portable.pipeline_diff2lip import Diff2LipPipeline
from ...stores.urls import Location
from ..folder import BatchFolder
from ..pairs import Pair
from ..work_queue import WorkQueue
from .connection import RayError, Room, connected, first_line, room_in
from .datasets import dataset_of
from .ledger import Ledger
from .lost_workers import LostCalls, live_nodes, settle
from .pair_actor import STOPPED, PairActor
from .seat_actor import SeatActor
from .settings import RayCluster
from .worker_setup import WorkerSetup

# Blocks that a worker has at a time: one is encoded, one sampled, one decoded. More wait beside it, so that it never
# waits for Ray; where more wait than work, Ray adds workers.
CALLS_AT_A_TIME, BLOCKS_IN_FLIGHT = 4, 8


@contextmanager
def ray_engine(cluster: RayCluster, pipe: Diff2LipPipeline) -> Iterator["RayEngine"]:
    """Gives an engine that is connected to a cluster.

    Raises:
        RayError: if Ray is not installed, the cluster cannot be reached, or it has no room for a worker.
    """
    with connected(cluster) as ray:
        yield RayEngine(ray, room_in(ray, cluster, pipe._execution_device.type), cluster.compile)


class RayEngine:
    """Works on pairs with the actors of a Ray cluster.

    Args:
        ray: connected to the cluster.
        room: of each worker.
        compile: how each worker compiles the model; None for not at all.
    """

    def __init__(self, ray: Any, room: Room, compile: str | None = None):
        self._ray, self._room, self._compile = ray, room, compile

    def work(
        self,
        pipe: Diff2LipPipeline,
        queue: WorkQueue,
        place: Location,
        folder: BatchFolder,
        run: int,
        options: Mapping[str, Any],
        split: str,
    ) -> None:
        """Works until no pair of a queue is open.

        Pairs that failed are tried again after all others. Ray starts workers anew that died, on other nodes if it
        must; if there is no room for them, their pairs are made after all others.

        Args:
            pipe: the pipeline, which each worker gets once.
            queue: knows which pairs are open.
            place: the folder or URL of the outputs.
            folder: the files of the batch there.
            run: number of the run.
            options: of all pairs.
            split: what workers share, as for `sync_batch`.

        Raises:
            RayError: if the cluster fails, or workers cannot work.
        """
        ray, pairs = self._ray, queue.open_pairs()
        if not pairs:
            return
        ledger = _ledger_beside_us(ray)
        model, threads = ray.put(_on_cpu(pipe)), torch.get_num_threads()
        setup = WorkerSetup(model, place, dict(options), self._room, threads, self._compile, run, ledger, os.getcwd())
        share = _share_frames if split == "frames" else _share_pairs
        try:
            while pairs:
                ray.get(ledger.open_again.remote([pair.output for pair in pairs]))
                share(ray, pairs, setup)
                _settle_lost(ray, ledger, folder)
                queue.catch_up()
                pairs = queue.open_pairs()
        except ray.exceptions.RayError as error:
            raise RayError(f"the Ray cluster ended the run: {first_line(error)}; start it again to resume") from error
        finally:
            ray.kill(ledger)


def _share_pairs(ray: Any, pairs: list[Pair], setup: WorkerSetup) -> None:
    """Tries each pair once."""
    _run(ray, dataset_of(ray, pairs), PairActor, setup, None)


def _share_frames(ray: Any, pairs: list[Pair], setup: WorkerSetup) -> None:
    """Gives each worker a seat, where it takes parts of pairs until all are done."""
    seats = ray.data.from_items(list(range(setup.room.max_workers)), override_num_blocks=setup.room.max_workers)
    _run(ray, seats, SeatActor, setup, (ray.put(pairs),))


def _settle_lost(ray: Any, ledger: Any, folder: BatchFolder) -> None:
    """Records the deaths of workers that Ray found no room for any more."""
    for death in ray.get(ledger.lost.remote(live_nodes(ray))):
        settle(folder, folder.journal(f"{death.worker}.lost"), death, lambda _: None)


def _run(ray: Any, dataset: Any, actor: type, setup: WorkerSetup, pairs: Any) -> None:
    from ray.data import ActorPoolStrategy  # pyright: ignore[reportMissingImports]

    room, is_shared = setup.room, pairs is not None
    dataset.context.max_errored_blocks = -1  # of workers that died for good; their pairs remain open
    dataset.context.enable_progress_bars = False
    dataset.context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    pool = ActorPoolStrategy(
        min_size=room.max_workers if is_shared else room.min_workers,
        initial_size=room.max_workers if is_shared else room.first_workers,
        max_size=room.max_workers,
        max_tasks_in_flight_per_actor=1 if is_shared else BLOCKS_IN_FLIGHT,
        max_concurrent_calls_per_actor=1 if is_shared else CALLS_AT_A_TIME,
        enable_true_multi_threading=True,
    )
    made = dataset.map_batches(
        actor,
        batch_size=None,
        compute=pool,
        num_cpus=room.num_cpus,
        num_gpus=room.num_gpus or None,
        fn_constructor_args=(setup, pairs) if is_shared else (setup,),
    )
    count = 0
    with LostCalls(ray, setup.ledger) as lost:
        for row in made.iter_rows():
            count += 1
            if row["status"] == STOPPED:
                raise RayError(row["error"])
    if not count + lost.count:
        raise RayError("workers end before any pair; see the logs of Ray")


def _ledger_beside_us(ray: Any) -> Any:
    """The ledger, on the node of this process: it is there as long as the run is."""
    from ray.util.scheduling_strategies import (  # pyright: ignore[reportMissingImports]
        NodeAffinitySchedulingStrategy,
    )

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Ledger).options(num_cpus=0, scheduling_strategy=here).remote()


def _on_cpu(pipe: Diff2LipPipeline) -> Diff2LipPipeline:
    return pipe if pipe._execution_device.type == "cpu" else copy.deepcopy(pipe).to("cpu")
