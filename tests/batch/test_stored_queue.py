"""The work queue in an S3 server, with work that takes no time: nothing is lost, nothing is done twice."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers.object_server import BUCKET, Faults, ObjectServer, client_of, environment_for, make_bucket, objects_in

from diff2lip_diffusers.batch.in_store.folder import StoredBatch
from diff2lip_diffusers.batch.pair_records import output_of
from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.batch.work_queue import WorkQueue
from diff2lip_diffusers.stores.remote_files import RemoteFiles
from diff2lip_diffusers.stores.urls import Url

pytestmark = pytest.mark.slow

COUNT = 24
OUTPUTS = [f"speaker{index % 5}/{index:02d}.mp4" for index in range(COUNT)]
PAIRS = [Pair(Path(f"{index % 5}.mp4"), None, output) for index, output in enumerate(OUTPUTS)]
# A lone process that nothing disturbs sends about eighteen requests for a pair: see docs/object-stores.md.
MOST_REQUESTS = 20


@pytest.fixture
def server(monkeypatch):
    server = ObjectServer()
    for name, value in environment_for(server).items():
        monkeypatch.setenv(name, value)
    make_bucket(server)
    yield server
    server.fail(Faults())
    server.close()


def content_of(output: str) -> bytes:
    return hashlib.sha256(output.encode()).digest() * 500


def work(cache_dir: Path, seconds: float = 0.0) -> None:
    """Does what a worker of a batch does, but for the video."""
    folder = StoredBatch(Url(f"s3://{BUCKET}/out"), RemoteFiles(cache_dir))
    with folder.working(), folder.heartbeat() as process:
        killed, leases = process.forget_dead(), folder.leases(process)
        journal = folder.journal(process.id, OUTPUTS)
        for dead, keys in leases.keys_of(killed).items():
            for output in map(output_of, keys):
                journal.append({"output": output, "status": "died", "process": dead, "num_suspects": len(keys)})
        queue = WorkQueue(PAIRS, dict.fromkeys(OUTPUTS, 1), folder.intact, leases, journal, tries=2)
        while queue.counts()[-1]:
            pair = queue.take() or queue.take(suspect=True)
            if pair is None:
                time.sleep(0.05)
                continue
            made = folder.new_work_path(process.id, pair.output)
            made.write_bytes(content_of(pair.output))
            time.sleep(seconds)
            folder.put_in_place(made, pair.output)
            record = {"output": pair.output, "status": "done", "ended_s": time.time(), "process": process.id}
            queue.finish({**record, "output_bytes": len(content_of(pair.output))})


def started(*arguments) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    return process


def done_in(server: ObjectServer) -> dict[str, bytes]:
    found = objects_in(server, "out/")
    return {key.removeprefix("out/"): content for key, content in found.items() if "/.diff2lip/" not in key}


def uploads(server: ObjectServer) -> Counter[str]:
    """How often each output was written."""
    puts = (path for method, path, state in server.log if method == "PUT" and state < "3" and "/out/speaker" in path)
    return Counter(path.partition("/out/")[2] for path in puts)


def check_all(server: ObjectServer) -> None:
    assert done_in(server) == {output: content_of(output) for output in OUTPUTS}
    keys = objects_in(server, "out/.diff2lip/")
    records = [json.loads(content) for key, content in keys.items() if "/results/" in key]
    assert {record["output"] for record in records if record["status"] == "done"} == set(OUTPUTS)
    assert not [key for key in keys if "/leases/" in key or "/probes/" in key]


def test_one_process(server, tmp_path, capfd):
    work(tmp_path)
    total = len(server.log)
    with capfd.disabled():
        print(f"\n{total / COUNT:.1f} requests a pair: {dict(Counter(method for method, _, _ in server.log))}")
    check_all(server)
    assert set(uploads(server).values()) == {1}
    assert total <= MOST_REQUESTS * COUNT
    work(tmp_path)
    assert set(uploads(server).values()) == {1}


def test_processes_share_the_work(server, tmp_path):
    processes = [started(tmp_path, 0.05) for _ in range(4)]
    for process in processes:
        process.join(600)
        assert process.exitcode == 0
    check_all(server)
    assert set(uploads(server).values()) == {1}


def test_a_server_that_fails(server, tmp_path):
    server.fail(Faults(failing=0.05, cut=0.05, slow=0.05, slow_s=0.1, seed=11))
    processes = [started(tmp_path) for _ in range(3)]
    for process in processes:
        process.join(900)
        assert process.exitcode == 0
    assert sum(state == "cut" or state >= "5" for _, _, state in server.log) > 20
    server.fail(Faults())
    check_all(server)
    # An answer that is lost makes the client send the same bytes again.
    assert uploads(server).total() <= COUNT + sum(state == "cut" for _, _, state in server.log)


def test_kill_9_again_and_again(server, tmp_path):
    chance, kills = random.Random(3), 0
    deadline_s = time.monotonic() + 900
    while len(uploads(server)) < COUNT and kills < 10:
        process, before = started(tmp_path, 0.05), len(uploads(server))
        while len(uploads(server)) < min(before + 3, COUNT) and process.is_alive():
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    work(tmp_path)
    assert done_in(server) == {output: content_of(output) for output in OUTPUTS}
    # Each process had one pair in hand.
    assert uploads(server).total() <= COUNT + kills
    assert max(uploads(server).values()) <= 2
    assert not list(tmp_path.glob(".outputs.*"))


def test_a_foreign_client_sees_whole_objects_only(server, tmp_path):
    server.fail(Faults(cut=0.2, seed=5))
    process = started(tmp_path)
    client = client_of(server)
    expected = {f"out/{output}": len(content_of(output)) for output in OUTPUTS}
    while process.is_alive():
        server.faults.cut = 0.0  # for this client
        for entry in client.list_objects_v2(Bucket=BUCKET, Prefix="out/speaker").get("Contents", []):
            assert entry["Size"] == expected[entry["Key"]]
        server.faults.cut = 0.2
        process.join(0.2)
    assert process.exitcode == 0
