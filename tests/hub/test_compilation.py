"""Compiled blocks of the U-Net compute the same; the compiled code is shared by processes."""

import os

import pytest
import torch
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.hub import compile_pipeline, warm_up


def sample(pipe) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    frames, windows = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 80, 16)
    generator = torch.Generator().manual_seed(1)
    return pipe(frames, mel_windows=windows, num_inference_steps=2, generator=generator, output_type="pt").frames


def test_all_repeated_blocks_are_compiled(monkeypatch, tmp_path):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pipe = untrained_pipeline(sample_size=16)
    calls = []
    expected = sample(pipe)

    def backend(graph, example_inputs):
        calls.append(graph)
        return graph.forward

    compile_pipeline(pipe, backend=backend)
    took_s = warm_up(pipe, batch_size=2)
    compiled = len(calls)
    assert took_s > 0 and compiled >= 2
    torch.testing.assert_close(sample(pipe), expected, rtol=0, atol=1e-5)
    assert len(calls) == compiled  # nothing is left to compile
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "diff2lip" / "compiled")


def test_a_failing_compiler_is_one_line():
    pipe = untrained_pipeline(sample_size=16)

    def backend(graph, example_inputs):
        raise RuntimeError("no compiler\nhere")

    compile_pipeline(pipe, backend=backend)
    with pytest.raises(Diff2LipError, match="cannot be compiled on this machine: .*") as caught:
        warm_up(pipe, batch_size=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune"])
def test_a_mode_compiles_the_whole_network(monkeypatch, tmp_path, mode):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    pipe = untrained_pipeline(sample_size=16)
    expected, asked = sample(pipe), []
    compile = torch.compile

    def eagerly(function, **options):
        asked.append(options)
        return compile(function, backend="eager", fullgraph=True)

    monkeypatch.setattr(torch, "compile", eagerly)
    compile_pipeline(pipe, mode)
    torch.testing.assert_close(sample(pipe), expected, rtol=0, atol=1e-5)
    assert asked == [{"mode": mode}]


def test_a_mode_that_is_none():
    with pytest.raises(ValueError, match="`mode` is 'fast', known are default, reduce-overhead, max-autotune"):
        compile_pipeline(untrained_pipeline(sample_size=16), "fast")


@pytest.mark.slow
def test_the_compiler_of_torch_computes_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    pipe = untrained_pipeline(sample_size=16)
    expected = sample(pipe)
    compile_pipeline(pipe)
    warm_up(pipe, batch_size=2)
    torch.testing.assert_close(sample(pipe), expected, rtol=0, atol=1e-4)
    assert any((tmp_path / "cache").rglob("*"))
