"""A model folder that carries its code loads with diffusers alone, and gives the same frames."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from helpers.hub_stand_in import HubStandIn, use_stand_in
from safetensors.torch import load_file

import diff2lip_diffusers
from diff2lip_diffusers.cli import main
from diff2lip_diffusers.hub import export_with_code, load_pipeline

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
AUDIO = np.random.default_rng(1).uniform(-1, 1, 16000).astype(np.float32)
CALL = {"audio": AUDIO, "sampling_rate": 16000, "fps": 25, "num_inference_steps": 2, "output_type": "np"}


def painted(pipe) -> np.ndarray:
    pipe.set_progress_bar_config(disable=True)
    return pipe(FRAMES, generator=torch.Generator().manual_seed(7), **CALL).frames


@pytest.fixture
def modules_cache(tmp_path, monkeypatch) -> Path:
    """Where diffusers puts the code of folders: not that of the user."""
    folder = tmp_path / "modules"
    monkeypatch.setattr("diffusers.utils.dynamic_modules_utils.HF_MODULES_CACHE", str(folder))
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield folder
    for name in [name for name in sys.modules if name.startswith("diffusers_modules")]:
        del sys.modules[name]


@pytest.fixture
def exported(small_pipe, tmp_path) -> Path:
    small_pipe.save_pretrained(tmp_path / "model")
    return export_with_code(tmp_path / "model", tmp_path / "exported")


def test_a_folder_with_code_loads_without_our_classes_and_gives_equal_frames(small_pipe, exported, modules_cache):
    pipe = DiffusionPipeline.from_pretrained(exported, trust_remote_code=True)
    assert type(pipe).__module__ == "diffusers_modules.local.pipeline_diff2lip"
    for part in (pipe.unet, pipe.audio_encoder, pipe.feature_extractor):
        assert type(part).__module__.startswith("diffusers_modules.local.")
    np.testing.assert_array_equal(painted(pipe), painted(small_pipe))


def test_weights_stored_in_half_precision_do_not_grow(small_pipe, tmp_path):
    small_pipe.unet.half()
    small_pipe.save_pretrained(tmp_path / "model")
    export_with_code(tmp_path / "model", tmp_path / "exported")
    name = "unet/diffusion_pytorch_model.safetensors"
    stored, exported = (load_file(tmp_path / folder / name) for folder in ("model", "exported"))
    assert {weight.dtype for weight in exported.values()} >= {torch.float16}
    assert all(torch.equal(exported[key].float(), weight.float()) for key, weight in stored.items())


def test_a_repository_with_code_loads_from_the_hub(small_pipe, exported, modules_cache, tmp_path, monkeypatch):
    with HubStandIn(tmp_path / "hub") as hub:
        use_stand_in(hub, monkeypatch)
        hub.create_repo("somebody/lips", source=exported)
        pipe = DiffusionPipeline.from_pretrained(
            "somebody/lips", trust_remote_code=True, cache_dir=tmp_path / "downloads"
        )
        np.testing.assert_array_equal(painted(pipe), painted(small_pipe))
        own = load_pipeline("somebody/lips", "cpu", "fp32", cache_dir=tmp_path / "downloads2")
        assert type(own) is diff2lip_diffusers.Diff2LipPipeline
        assert not list((tmp_path / "downloads2").rglob("*.py"))
        assert hub.unanswered == []


def test_our_own_loader_runs_no_code_of_a_folder(small_pipe, exported):
    for path in exported.rglob("*.py"):
        path.write_text("raise RuntimeError('code of the folder was run')")
    pipe = load_pipeline(exported, "cpu", "fp32")
    assert type(pipe) is diff2lip_diffusers.Diff2LipPipeline
    np.testing.assert_allclose(painted(pipe), painted(small_pipe), rtol=0, atol=1e-5)


def test_whoever_does_not_trust_the_code_reads_what_to_install(exported):
    with pytest.raises(ValueError, match=r"(?s)custom code in diff2lip_diffusers\.py.*trust_remote_code=True"):
        DiffusionPipeline.from_pretrained(exported)
    assert "pip install diff2lip-diffusers" in (exported / "diff2lip_diffusers.py").read_text()
    assert "pip install diff2lip-diffusers" in (exported / "README.md").read_text()


def test_the_command_writes_the_folder(small_pipe, tmp_path, capsys):
    small_pipe.save_pretrained(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--remote-code", str(tmp_path / "exported")]) == 0
    index = json.loads((tmp_path / "exported" / "model_index.json").read_text())
    assert index["_class_name"] == ["diff2lip_diffusers", "Diff2LipPipeline"]
    assert "trust_remote_code=True" in capsys.readouterr().out


@pytest.mark.slow
def test_a_process_without_our_package_loads_it(small_pipe, exported, tmp_path):
    """With two calls: the second finds the code of the first in the cache."""
    np.save(tmp_path / "frames.npy", FRAMES)
    np.save(tmp_path / "audio.npy", AUDIO)
    script = f"""if True:
        import sys
        sys.modules["diff2lip_diffusers"] = None  # its import fails
        import numpy as np, torch
        torch.set_num_threads(1)
        from diffusers import DiffusionPipeline
        for _ in range(2):
            pipe = DiffusionPipeline.from_pretrained({str(exported)!r}, trust_remote_code=True)
        pipe.set_progress_bar_config(disable=True)
        call = { ({name: value for name, value in CALL.items() if name != "audio"})!r}
        frames, audio = (np.load({str(tmp_path)!r} + name) for name in ("/frames.npy", "/audio.npy"))
        np.save(
            {str(tmp_path)!r} + "/painted.npy",
            pipe(frames, audio=audio, generator=torch.Generator().manual_seed(7), **call).frames,
        )
    """
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "painted.npy"), painted(small_pipe))
