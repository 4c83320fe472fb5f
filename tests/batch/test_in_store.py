"""Batches from and to an S3 server: the same bytes as in a folder, whatever fails."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from helpers.batch_pairs import output_names, results, write_pairs
from helpers.object_server import (
    BUCKET,
    FORBIDDEN,
    SECRET,
    Faults,
    ObjectServer,
    client_of,
    objects_in,
    running_server,
)
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import batch_status, read_pairs, sync_batch
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.stores.urls import Url

pytestmark = pytest.mark.slow

COUNT = 24
OPTIONS = {"num_inference_steps": 1, "box": (20, 20, 150, 150)}
FAULTS = Faults(failing=0.04, cut=0.04, slow=0.05, seed=7)


@pytest.fixture(scope="module")
def pipe():
    return untrained_pipeline(sample_size=16)


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data"), [5 + index % 4 for index in range(COUNT)], (160, 160))


@pytest.fixture(scope="module")
def in_folder(pipe, pairs_file, tmp_path_factory) -> dict[str, bytes]:
    """The outputs of a batch in a folder, by name."""
    folder = tmp_path_factory.mktemp("in_folder")
    assert sync_batch(pipe, read_pairs(pairs_file), folder, **OPTIONS).num_done == COUNT
    return {path.name: path.read_bytes() for path in folder.glob("*.mp4")}


@pytest.fixture(scope="module")
def server(pairs_file):
    """A server that has the inputs below `data`."""
    with pytest.MonkeyPatch.context() as patch, running_server(patch) as server:
        for path in pairs_file.parent.rglob("*.*"):
            key = f"data/{path.relative_to(pairs_file.parent).as_posix()}"
            client_of(server).upload_file(str(path), BUCKET, key)
        yield server
        server.fail(Faults())


@pytest.fixture(autouse=True)
def nothing_fails_later(server):
    yield
    server.fail(Faults())


def run_batch(pipe, output_dir: str, cache_dir: Path, source: str = f"s3://{BUCKET}/data/pairs.txt"):
    return sync_batch(pipe, read_pairs(source), output_dir, input_cache_dir=cache_dir, **OPTIONS)


def outputs_in(server: ObjectServer, prefix: str) -> dict[str, bytes]:
    found = objects_in(server, f"{prefix}/")
    return {key.removeprefix(f"{prefix}/"): content for key, content in found.items() if key.endswith(".mp4")}


def records_in(server: ObjectServer, prefix: str) -> list[dict]:
    return [json.loads(line) for line in objects_in(server, prefix)[f"{prefix}/results.jsonl"].splitlines()]


def test_a_store_that_fails_gives_the_bytes_of_a_folder(pipe, in_folder, server, tmp_path):
    server.fail(FAULTS)
    result = run_batch(pipe, f"s3://{BUCKET}/faulty", tmp_path)
    failed = [state for _, _, state in server.log if state == "cut" or state >= "5"]
    server.fail(Faults())
    assert (result.num_done, result.failures) == (COUNT, [])
    assert len(failed) > 20
    assert outputs_in(server, "faulty") == in_folder
    records = records_in(server, "faulty")
    assert [record["output"] for record in records] == output_names(COUNT)
    assert records[0]["video"] == f"s3://{BUCKET}/data/face/00.mp4"
    assert batch_status(f"s3://{BUCKET}/faulty").num_done == COUNT
    left = [key for key in objects_in(server, "faulty/.diff2lip") if "/leases/" in key or "/processes/" in key]
    assert left == []
    assert list((tmp_path / "inputs").glob("*/.part")) == []
    assert not list(tmp_path.glob(".outputs.*"))


def test_nothing_is_done_twice(pipe, server, tmp_path):
    target = f"s3://{BUCKET}/again"
    run_batch(pipe, target, tmp_path)
    before = server.count("PUT", "/again/speech")
    assert run_batch(pipe, target, tmp_path).num_done == COUNT
    assert server.count("PUT", "/again/speech") == before == COUNT
    client_of(server).delete_object(Bucket=BUCKET, Key=f"again/{output_names(COUNT)[3]}")
    run_batch(pipe, target, tmp_path)
    assert server.count("PUT", "/again/speech") == COUNT + 1


def test_kill_9_loses_only_what_was_in_hand(pipe, in_folder, server, tmp_path):
    target = f"s3://{BUCKET}/killed"
    context = multiprocessing.get_context("fork")
    worked = 0
    for stop in (5, 12, 18):
        process = context.Process(target=run_batch, args=(pipe, target, tmp_path))
        process.start()
        deadline_s = time.monotonic() + 300
        while server.count("PUT", "/killed/speech") < stop and process.is_alive():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        done = {path.rpartition("/")[2] for key, path, _ in server.log if key == "PUT" and "/killed/speech" in path}
        assert len(done) >= stop
        worked += 1
    assert run_batch(pipe, target, tmp_path).num_done == COUNT
    assert outputs_in(server, "killed") == in_folder
    # A process has the pair that it encodes in hand, and those that it reads ahead; only the first may be complete.
    assert server.count("PUT", "/killed/speech") <= COUNT + worked
    assert not list(tmp_path.glob(".outputs.*"))


def test_processes_share_the_work(pipe, in_folder, server, tmp_path):
    target = f"s3://{BUCKET}/shared"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run_batch, args=(pipe, target, tmp_path)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        assert process.exitcode == 0
    assert outputs_in(server, "shared") == in_folder
    assert server.count("PUT", "/shared/speech") == COUNT
    assert len({record["process"] for record in records_in(server, "shared")}) == 3


def test_wrong_credentials_are_one_line_without_them(pipe, server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONGWRONG0")
    for action in (
        lambda: read_pairs(f"s3://{BUCKET}/data/pairs.txt"),
        lambda: sync_batch(pipe, [], f"s3://{BUCKET}/none"),
    ):
        with pytest.raises(MediaError) as caught:
            action()
        message = str(caught.value)
        assert message.startswith(f"s3://{BUCKET}/") and "credentials" in message and "\n" not in message
        assert SECRET not in message and "AKIA" not in message
        assert caught.value.__suppress_context__


def test_a_bucket_that_is_not_there(pipe, server, tmp_path):
    with pytest.raises(MediaError, match="^s3://nobody/out.*its bucket does not exist"):
        run_batch(pipe, "s3://nobody/out", tmp_path)


def test_an_object_that_cannot_be_read_fails_alone(pipe, pairs_file, server, tmp_path):
    rows = [("face/00.mp4", "speech/00.wav"), (f"s3://{BUCKET}/{FORBIDDEN}/a.mp4", "speech/01.wav"), ("no.mp4", "")]
    lines = ["video,audio,output", *(f"{video},{audio},{index}.mp4" for index, (video, audio) in enumerate(rows))]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    pairs = read_pairs(tmp_path / "list.csv", f"s3://{BUCKET}/data")
    result = sync_batch(pipe, pairs, tmp_path / "out", input_cache_dir=tmp_path / "cache", **OPTIONS)
    reasons = {
        record["output"]: record["error"] for record in results(tmp_path / "out") if record["status"] == "failed"
    }
    assert result.num_done == 1
    assert reasons["1.mp4"].startswith(f"s3://{BUCKET}/{FORBIDDEN}/a.mp4: access is refused;")
    assert reasons["2.mp4"].startswith(f"s3://{BUCKET}/data/no.mp4: does not exist")


def test_a_small_cache_is_never_exceeded(pipe, in_folder, server, tmp_path):
    sizes = [len(content) for key, content in objects_in(server, "data/").items() if not key.endswith(".txt")]
    limit = 6 * max(sizes)
    pairs = read_pairs(f"s3://{BUCKET}/data/pairs.txt")[:8]
    sync_batch(pipe, pairs, f"s3://{BUCKET}/small", input_cache_dir=tmp_path, input_cache_gb=limit / 1e9, **OPTIONS)
    kept = sum(path.stat().st_size for path in (tmp_path / "inputs").glob("*/[!.]*"))
    assert 0 < kept <= limit
    assert outputs_in(server, "small").items() <= in_folder.items()


def test_frames_cannot_be_split_there(pipe, server):
    with pytest.raises(ValueError, match='^`split` "frames" shares parts in a folder'):
        sync_batch(pipe, [], f"s3://{BUCKET}/out", split="frames")
    with pytest.raises(ValueError, match="^`output_dir` is hf://datasets/you/set, but"):
        sync_batch(pipe, [], str(Url("hf://datasets/you/set")))
