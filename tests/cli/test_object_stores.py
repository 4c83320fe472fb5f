"""`diff2lip sync`, `batch` and `status` with URLs: what they print, how they end, and under accelerate."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.batch_pairs import output_names, write_pairs
from helpers.commands import run_command
from helpers.object_server import (
    BUCKET,
    FORBIDDEN,
    KEY,
    SECRET,
    client_of,
    environment_for,
    objects_in,
    running_server,
)
from helpers.untrained import untrained_pipeline

pytestmark = pytest.mark.slow

COUNT = 6
# What a pair may cost in a store. Measured: see docs/object-stores.md.
MOST_REQUESTS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data"), [5 + index % 3 for index in range(COUNT)], (160, 160)).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("model")
    untrained_pipeline(sample_size=16).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def server(data):
    with pytest.MonkeyPatch.context() as patch, running_server(patch) as server:
        for path in data.rglob("*.*"):
            client_of(server).upload_file(str(path), BUCKET, f"data/{path.relative_to(data).as_posix()}")
        yield server


@pytest.fixture
def options(model, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    return ["--model", model, "--steps", "1", "--box", "20,20,150,150", "--cache-dir", str(tmp_path / "cache")]


def batch_of(target: str, options: list[str]) -> list[str]:
    return ["batch", f"s3://{BUCKET}/data/pairs.txt", "--output-dir", target, *options]


def test_a_batch_and_its_status(server, options, capfd):
    target, before = f"s3://{BUCKET}/out", len(server.log)
    done = f"{target}: {COUNT} pairs done; see {target}/results.jsonl"
    assert run_command(capfd, *batch_of(target, options)) == (0, [done], [])
    requests = Counter(method for method, _, _ in server.log[before:])
    with capfd.disabled():
        print(f"\n{COUNT} pairs: {dict(requests)}, {requests.total() / COUNT:.1f} a pair")
    assert requests.total() <= MOST_REQUESTS * COUNT
    code, out, err = run_command(capfd, "status", target)
    assert (code, err) == (0, [])
    assert out[0].startswith(f"{target}: {COUNT} pairs: {COUNT} done, 0 failed, 0 at work, 0 to do; ")


def test_one_video(server, options, data, tmp_path, capfd):
    source = [f"s3://{BUCKET}/data/face/00.mp4", f"s3://{BUCKET}/data/speech/00.wav", f"s3://{BUCKET}/one/a.mp4"]
    local = [str(data / "face" / "00.mp4"), str(data / "speech" / "00.wav"), str(tmp_path / "a.mp4")]
    for video, audio, output in (source, local):
        words = ["sync", "--video", video, "--audio", audio, "--output", output, *options]
        code, out, err = run_command(capfd, *words)
        assert (code, err) == (0, [])
        assert out[0].startswith(f"{output}: 5 frames, ")
    assert objects_in(server, "one/") == {"one/a.mp4": (tmp_path / "a.mp4").read_bytes()}


@pytest.mark.parametrize(
    ("video", "output", "expected"),
    [
        ("data/face/no.mp4", "one/b.mp4", f"s3://{BUCKET}/data/face/no.mp4: does not exist"),
        ("data/pairs.txt", "one/b.mp4", f"s3://{BUCKET}/data/pairs.txt: is not a video"),
        ("data/face/00.mp4", "one/b.avi", f"s3://{BUCKET}/one/b.avi: does not name a video"),
        ("data/face/00.mp4", "data/face/00.mp4", f"s3://{BUCKET}/data/face/00.mp4: is an input as well"),
    ],
)
def test_what_cannot_be_done_is_one_line(server, options, capfd, video, output, expected):
    words = ["--video", f"s3://{BUCKET}/{video}", "--audio", f"s3://{BUCKET}/data/speech/00.wav"]
    code, out, err = run_command(capfd, "sync", *words, "--output", f"s3://{BUCKET}/{output}", *options)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"diff2lip sync: {expected}")
    assert f"{output}" == video or output not in objects_in(server, "one/")


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("s3://nobody/pairs.txt", f"s3://{BUCKET}/none", "s3://nobody/pairs.txt: its bucket does not exist"),
        (f"s3://{BUCKET}/data/pairs.txt", "s3://nobody/none", "s3://nobody/none"),
        (
            f"s3://{BUCKET}/{FORBIDDEN}/pairs.csv",
            f"s3://{BUCKET}/none",
            f"s3://{BUCKET}/{FORBIDDEN}/pairs.csv: access",
        ),
        (f"s3://{BUCKET}/data/cut.parquet", f"s3://{BUCKET}/none", f"s3://{BUCKET}/data/cut.parquet: is not a whole"),
    ],
)
def test_a_batch_that_cannot_be_done_is_one_line(server, options, capfd, source, target, expected):
    client_of(server).put_object(Bucket=BUCKET, Key="data/cut.parquet", Body=b"PAR1")
    code, out, err = run_command(capfd, "batch", source, "--output-dir", target, *options)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"diff2lip batch: {expected}")
    assert not objects_in(server, "none/")


def test_credentials_are_in_no_log_and_no_result(server, options, capfd, caplog, monkeypatch):
    target = f"s3://{BUCKET}/quiet"
    with caplog.at_level(logging.DEBUG, logger="diff2lip_diffusers"):
        assert run_command(capfd, *batch_of(target, options))[0] == 0
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONGWRONGWRONG0")
        code, out, err = run_command(capfd, *batch_of(target, options))
    assert (code, out, len(err)) == (1, [], 1)
    # The first question is a HEAD request, whose answer does not tell wrong keys from missing rights.
    assert "check the credentials in the environment" in err[0]
    said = caplog.text + err[0] + json.dumps([str(content) for content in objects_in(server, "quiet/").values()])
    assert SECRET not in said and KEY not in said and "AKIAWRONG" not in said


def test_accelerate_launches_processes_without_a_shared_folder(server, options, data, tmp_path):
    target = f"s3://{BUCKET}/launched"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    words = ["--main_process_port", str(port), "-m", "diff2lip_diffusers", *batch_of(target, options)]
    environment = {**os.environ, **environment_for(server), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, *words], env=environment, check=True, timeout=3000)
    local = [sys.executable, "-m", "diff2lip_diffusers", "batch", str(data / "pairs.txt"), "--output-dir"]
    subprocess.run([*local, str(tmp_path / "out"), *options], env=environment, check=True, timeout=3000)
    found = {key.removeprefix("launched/"): content for key, content in objects_in(server, "launched/").items()}
    expected = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.mp4")}
    assert sorted(expected) == output_names(COUNT)
    assert {name: content for name, content in found.items() if name in expected} == expected
    records = [json.loads(line) for line in found["results.jsonl"].splitlines()]
    assert {record["process_index"] for record in records} <= {0, 1} and len(records) == COUNT
