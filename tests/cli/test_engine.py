"""`diff2lip batch --engine ray`: what cannot be done is one line, with or without Ray."""

import os
import socket
import subprocess
import sys

import pytest
from helpers.commands import run_command

from diff2lip_diffusers import RayCluster


@pytest.fixture
def pairs(tmp_path) -> str:
    (tmp_path / "pairs.csv").write_text("video,audio\nface.mp4,speech.wav\n")
    return str(tmp_path / "pairs.csv")


def ray_batch(pairs: str, *more: str) -> list[str]:
    return ["batch", pairs, "--output-dir", f"{pairs}.out", "--model", "nowhere", "--engine", "ray", *more]


def test_ray_is_not_installed(pairs, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # Python then finds no such package
    said = "diff2lip batch: Ray is not installed; pip install 'diff2lip-diffusers[ray]'"
    assert run_command(capfd, *ray_batch(pairs)) == (1, [], [said])
    assert not os.path.exists(f"{pairs}.out")


@pytest.mark.parametrize("address", ["head", "head:port", "http://head:6379", ":6379", "head:0", "head:65536", "²:³"])
def test_an_address_that_is_none(pairs, capfd, address):
    said = f"diff2lip batch: `address` of the Ray cluster is {address!r}, expected HOST:PORT, as `ray start` prints it"
    assert run_command(capfd, *ray_batch(pairs, "--ray-address", address)) == (1, [], [said])


@pytest.mark.parametrize("address", ["head:6379", "10.0.0.1:6379", "[::1]:6379", "local", None])
def test_an_address_that_is_one(address):
    assert RayCluster(address).address == address


def test_options_of_the_other_engine(pairs, capfd):
    words = ["batch", pairs, "--output-dir", "out", "--model", "nowhere", "--ray-address", "head:6379"]
    said = "diff2lip batch: --ray-address is for --engine ray; add that, or leave it out"
    assert run_command(capfd, *words) == (1, [], [said])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(1000) + b"PAR1"])
def test_a_malformed_parquet(tmp_path, capfd, content):
    path = tmp_path / "list.parquet"
    path.write_bytes(content)
    said = f"diff2lip batch: {path}: is not a whole Parquet file; write or download it again"
    assert run_command(capfd, *ray_batch(str(path))) == (1, [], [said])


@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "no-such-host.invalid:6379"])
def test_no_cluster_answers(pairs, address):
    pytest.importorskip("ray.data")
    with socket.socket() as held:  # it is bound and does not listen
        held.bind(("127.0.0.1", 0))
        address = address.format(port=held.getsockname()[1])
        for words, environment in (
            (["--ray-address", address], {}),
            ([], {"RAY_ADDRESS": address}),
        ):
            code, err = _separately(ray_batch(pairs, *words), environment)
            assert (code, len(err)) == (1, 1)
            assert err[0].startswith(f"diff2lip batch: no Ray cluster answers at {address}: ")
            assert err[0].endswith("; check the address, or start one")


@pytest.mark.slow
def test_no_gpu_though_asked_for(pairs, tmp_path):
    pytest.importorskip("ray.data")
    from helpers.untrained import untrained_pipeline

    untrained_pipeline(sample_size=16).save_pretrained(tmp_path / "model")
    words = ["batch", pairs, "--output-dir", "out", "--model", str(tmp_path / "model"), "--engine", "ray"]
    code, err = _separately([*words, "--device", "cuda"], {"CUDA_VISIBLE_DEVICES": ""})
    said = "diff2lip batch: the Ray cluster has 0 GPUs, and no node has 1 for a worker; start it with GPUs, or use"
    assert (code, err) == (1, [f"{said} --device cpu"])


def _separately(words: list[str], environment: dict[str, str]) -> tuple[int, list[str]]:
    """Exit code and error lines of a command in a process of its own."""
    command = [sys.executable, "-m", "diff2lip_diffusers", *words]
    ran = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600)
    return ran.returncode, ran.stderr.splitlines()
