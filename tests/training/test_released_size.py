"""The released size: two guided steps, and two steps of LoRA, from a converted checkpoint of recorded shapes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.recorded import original_state_dict
from helpers.training_sets import write_training_set

from diff2lip_diffusers.hub import convert_checkpoint

# Measured: 1,687 and 1,766 MB.
MAX_GUIDED_MB, MAX_LORA_MB = 2000, 2100
# Each runs in a process of its own, so that its peak memory can be told.
GUIDED = """if True:
    import sys, resource, numpy as np, torch
    from diff2lip_diffusers.hub import load_pipeline

    pipe = load_pipeline(sys.argv[1], "cpu", "fp32")
    pipe.set_progress_bar_config(disable=True)
    frames = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    call = {"mel_windows": torch.zeros(2, 80, 16), "num_inference_steps": 2, "output_type": "pt"}
    plain, guided = (
        pipe(frames, generator=torch.Generator().manual_seed(0), guidance_scale=scale, **call).frames
        for scale in (1, 2.5)
    )
    assert torch.isfinite(guided).all() and not torch.equal(plain, guided)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
LORA = """if True:
    import sys, resource, math
    from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.lora import LoraSettings
    from diff2lip_diffusers.training.trainer import train

    config = TrainConfig(
        data=sys.argv[2], output=sys.argv[3], init_from=sys.argv[1], lora=LoraSettings(), max_train_steps=2,
        frames_per_sample=1, train_batch_size=1, losses="simple", validation_steps=0, report_to="none",
        held_out_fraction=0, audio_dropout=0.1, gradient_checkpointing=True, lr_warmup_steps=0,
    )
    assert all(math.isfinite(record.losses["total"]) for record in train(config))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    torch.save(original_state_dict("released"), folder / "checkpoint.pt")
    convert_checkpoint(folder / "checkpoint.pt", folder / "model")
    (folder / "checkpoint.pt").unlink()
    return folder / "model"


def peak_mb(script: str, *arguments: Path) -> float:
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


@pytest.mark.slow
def test_two_guided_steps(model):
    assert peak_mb(GUIDED, model) < MAX_GUIDED_MB


@pytest.mark.slow
def test_two_steps_of_lora(model, tmp_path):
    data = write_training_set(tmp_path / "set", size_px=128)
    assert peak_mb(LORA, model, data, tmp_path / "run") < MAX_LORA_MB
    adapter = tmp_path / "run" / "lora" / "pytorch_lora_weights.safetensors"
    assert adapter.stat().st_size < 1e6
