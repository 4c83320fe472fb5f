"""Batches on a Ray cluster of two nodes: the same bytes as by processes, whatever dies."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from helpers.batch_pairs import logged, output_names, results, write_pairs
from helpers.deadly_detector import DeadlyDetector
from helpers.ray_cluster import ray, running_nodes
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import Pair, RayCluster, read_pairs, sync_batch
from diff2lip_diffusers.batch.on_ray import lost_workers
from diff2lip_diffusers.batch.on_ray.connection import RayError
from diff2lip_diffusers.errors import MediaError

pytestmark = pytest.mark.slow

COUNT, KILLS = 24, 10
OPTIONS = {"num_inference_steps": 1, "box": (20, 20, 150, 150)}


@pytest.fixture(scope="module")
def pipe():
    torch.set_num_threads(1)
    return untrained_pipeline(sample_size=16)


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data"), [5 + index % 4 for index in range(COUNT)], (160, 160))


@pytest.fixture(scope="module")
def by_processes(pipe, pairs_file, tmp_path_factory) -> dict[str, bytes]:
    """The outputs of the same batch without Ray, by name."""
    folder = tmp_path_factory.mktemp("by_processes")
    assert sync_batch(pipe, read_pairs(pairs_file), folder, **OPTIONS).num_done == COUNT
    return outputs_in(folder)


@pytest.fixture(scope="module")
def nodes():
    with running_nodes() as nodes:
        yield nodes


def outputs_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.mp4")}


def done_in(folder: Path) -> list[str]:
    return sorted(record["output"] for record in logged(folder) if record["status"] == "done")


def on_ray(pipe, pairs, folder: Path, **options):
    return sync_batch(
        pipe, pairs, folder, engine="ray", cluster=RayCluster(min_workers=2, max_workers=2), **{**OPTIONS, **options}
    )


def test_outputs_are_those_of_processes(nodes, pipe, pairs_file, by_processes, tmp_path):
    result = on_ray(pipe, read_pairs(pairs_file), tmp_path)
    assert (result.num_done, result.failures) == (COUNT, [])
    assert outputs_in(tmp_path) == by_processes
    assert done_in(tmp_path) == [record["output"] for record in results(tmp_path)] == output_names(COUNT)
    assert len({record["process"] for record in results(tmp_path)}) == 2
    assert not list(tmp_path.glob(".diff2lip/unfinished/*")) and not list(tmp_path.glob(".diff2lip/leases/*"))
    assert sync_batch(pipe, read_pairs(pairs_file), tmp_path, **OPTIONS).num_done == COUNT
    assert len(done_in(tmp_path)) == COUNT


def test_a_dataset_of_pairs(nodes, pipe, pairs_file, by_processes, tmp_path):
    rows = [
        {"video": f"face/{index:02d}.mp4", "audio": f"speech/{index:02d}.wav", "output": name}
        for index, name in enumerate(output_names(4))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pairs_file.parent)
        assert on_ray(pipe, ray.data.from_items(rows), tmp_path).num_done == 4
    assert outputs_in(tmp_path).items() <= by_processes.items()


def test_a_pair_that_kills_its_worker_fails_alone(nodes, pipe, pairs_file, by_processes, tmp_path):
    deadly = tmp_path / "oom.mp4"
    deadly.write_bytes((pairs_file.parent / "face/00.mp4").read_bytes())
    pairs = [*read_pairs(pairs_file)[:5], Pair(deadly, pairs_file.parent / "speech/00.wav", "deadly.mp4")]
    out = tmp_path / "out"
    result = on_ray(pipe, pairs, out, detector=DeadlyDetector())
    assert result.num_done == 5
    (failure,) = result.failures
    assert failure["output"] == "deadly.mp4" and failure["error_type"] == "ProcessDiedError"
    assert outputs_in(out).items() <= by_processes.items()
    assert sum(record["output"] == "deadly.mp4" and record["status"] == "failed" for record in logged(out)) == 2


def test_frames_of_a_long_pair_are_shared(nodes, pipe, pairs_file, tmp_path):
    pairs, alone, shared = read_pairs(pairs_file)[:2], tmp_path / "alone", tmp_path / "shared"
    assert sync_batch(pipe, pairs, alone, split="frames", **OPTIONS).num_done == 2
    assert on_ray(pipe, pairs, shared, split="frames").num_done == 2
    assert outputs_in(shared) == outputs_in(alone)


def test_bad_input_is_one_line(nodes, pipe, pairs_file, tmp_path):
    pairs = read_pairs(pairs_file)[:1]
    with pytest.raises(RayError, match="^the Ray cluster has 0 GPUs, and no node has 1 for a worker; start it with"):
        sync_batch(pipe, pairs, tmp_path / "a", engine="ray", cluster=RayCluster(device="cuda"), **OPTIONS)
    with pytest.raises(ValueError, match="^`engine` is 'spark', known are processes, ray$"):
        sync_batch(pipe, pairs, tmp_path / "a", engine="spark")
    assert not (tmp_path / "a").exists()
    missing = Pair(tmp_path / "none.mp4", None, "none.mp4")
    with pytest.raises(MediaError, match="and all other pairs' files"):
        on_ray(pipe, [missing], tmp_path / "b")


def outputs_grow(folder: Path, count: int, run: Future) -> bool:
    """Waits for so many more outputs; False if the run ends before."""
    enough = len(outputs_in(folder)) + count
    while len(outputs_in(folder)) < enough:
        if run.done():
            return False
        time.sleep(0.05)
    return True


def test_nodes_are_killed_ten_times(nodes, pipe, pairs_file, by_processes, tmp_path):
    chance, kills = random.Random(17), 0
    while kills < KILLS:
        folder = tmp_path / str(kills)
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(on_ray, pipe, read_pairs(pairs_file), folder)
            while kills < KILLS and outputs_grow(folder, chance.randrange(1, 6), run):
                nodes.kill_one(chance)
                nodes.add()
                kills += 1
        assert (run.result().num_done, run.result().failures) == (COUNT, [])
        assert outputs_in(folder) == by_processes
        # A pair whose worker went down between its record and the word to Ray is not made again.
        assert done_in(folder) == output_names(COUNT)
        assert not list(folder.glob(".diff2lip/unfinished/*"))


def test_a_node_that_never_comes_back(nodes, pipe, pairs_file, by_processes, tmp_path, monkeypatch):
    monkeypatch.setattr(lost_workers, "PATIENCE_S", 2.0)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(on_ray, pipe, read_pairs(pairs_file)[:8], tmp_path)
        try:
            assert outputs_grow(tmp_path, 1, run)
            nodes.kill_one(random.Random(1))
            assert (run.result(300).num_done, run.result().failures) == (8, [])
        finally:
            nodes.add()
    assert outputs_in(tmp_path).items() <= by_processes.items()
    assert done_in(tmp_path) == output_names(8)
    assert not list(tmp_path.glob(".diff2lip/unfinished/*"))
