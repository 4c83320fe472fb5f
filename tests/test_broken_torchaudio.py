"""A torchaudio that was built for another torch is taken for one that is not there."""

import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import diff2lip_diffusers
from diff2lip_diffusers import Diff2LipFeatureExtractor
from diff2lip_diffusers.broken_torchaudio import hide_broken_torchaudio

# What the import of torchaudio says beside a torch without CUDA.
BROKEN = "raise OSError('libcudart.so.12: cannot open shared object file: No such file or directory')\n"


@pytest.fixture
def broken_torchaudio(tmp_path, monkeypatch):
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("from . import lib\n")
    (tmp_path / "torchaudio" / "lib.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]


def test_it_is_hidden_and_said(broken_torchaudio, caplog):
    with caplog.at_level(logging.WARNING):
        hide_broken_torchaudio()
    assert importlib.util.find_spec("torchaudio") is None
    (said,) = [record.message for record in caplog.records]
    assert "libcudart.so.12" in said and "Uninstall it, or install" in said and "\n" not in said
    with pytest.raises(ImportError, match="no working torchaudio"):
        Diff2LipFeatureExtractor(backend="torchaudio")([0.0] * 16000, 16000)


def test_one_that_works_stays(tmp_path, monkeypatch):
    (tmp_path / "torchaudio.py").write_text("works = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    hide_broken_torchaudio()
    assert sys.modules.pop("torchaudio").works


@pytest.mark.slow
def test_a_pipeline_loads_beside_it(broken_torchaudio, small_pipe):
    small_pipe.save_pretrained(broken_torchaudio / "model")
    script = f"""if True:
        import diff2lip_diffusers
        from diffusers import DiffusionPipeline
        pipe = DiffusionPipeline.from_pretrained({str(broken_torchaudio / "model")!r})
        print(pipe.feature_extractor([0.0] * 16000, 16000).mel_windows.shape)
    """
    places = os.pathsep.join([str(broken_torchaudio), str(Path(diff2lip_diffusers.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": places}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch.Size([")
    assert "torchaudio cannot be loaded and is ignored" in done.stderr
