"""The training loop: what a restart, more processes or smaller batches must not change, and what it leaves behind."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import DiffusionPipeline
from helpers.training_sets import MODEL, SETTINGS, write_training_set

from diff2lip_diffusers.errors import CheckpointError, Diff2LipError, MediaError
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.syncnet import SyncNet
from diff2lip_diffusers.training.checkpoints import list_checkpoints, load_checkpoint
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of, write_config
from diff2lip_diffusers.training.trainer import train
from diff2lip_diffusers.training.training_run import learning_rate_factor

ONLY_300_TO_400 = {
    "timestep_bias_strategy": "range",
    "timestep_bias_multiplier": 1e9,
    "timestep_bias_begin": 300,
    "timestep_bias_end": 400,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def configure(data, tmp_path):
    """A configuration of a few small steps."""

    def configure(output: str = "run", **changes) -> TrainConfig:
        settings = SETTINGS | {"data": str(data), "output": str(tmp_path / output)} | changes
        return config_of(TrainConfig, settings)

    return configure


@pytest.fixture(scope="module")
def syncnet(tmp_path_factory) -> str:
    """An expert that knows nothing, but is one."""
    folder = tmp_path_factory.mktemp("syncnet")
    torch.manual_seed(0)
    SyncNet(input_size=48, block_out_channels=(8, 8, 8, 8, 8), embed_dim=16).save_pretrained(folder)
    return str(folder)


def losses_of(config: TrainConfig, **settings) -> list[dict[str, float]]:
    return [record.losses | {"grad_norm": record.grad_norm} for record in train(config, **settings)]


def assert_same(records: list[dict], others: list[dict], tolerance: float):
    assert len(records) == len(others) and records
    for record, other in zip(records, others, strict=True):
        assert record == pytest.approx(other, rel=tolerance, abs=tolerance)


def test_a_resumed_run_repeats_the_losses_of_one_that_was_not_interrupted(configure):
    whole = losses_of(configure("whole"))
    stopped = losses_of(configure("parts", max_train_steps=2))
    resumed = losses_of(configure("parts"))
    assert_same(stopped + resumed, whole, 1e-6)
    states = [load_checkpoint(list_checkpoints(configure(name).output)[-1]) for name in ("whole", "parts")]
    for name, tensor in states[0]["denoiser"].items():
        torch.testing.assert_close(tensor, states[1]["denoiser"][name], rtol=0, atol=1e-6)
    for ours, others in zip(*(state["ema"]["shadow_params"] for state in states), strict=True):
        torch.testing.assert_close(ours, others, rtol=0, atol=1e-6)


def test_all_losses_survive_a_restart_and_half_batches(configure, syncnet):
    settings = {
        "losses": "paper",
        "frames_per_sample": 5,
        "syncnet": syncnet,
        "train_batch_size": 2,
        "max_train_steps": 2,
    }
    whole = losses_of(configure("whole", **settings))
    assert set(whole[0]) == {
        "epsilon", "variance", "x0", "syncnet", "adversarial", "discriminator", "total", "grad_norm"
    }  # fmt: skip
    losses_of(configure("parts", **settings | {"max_train_steps": 1}))
    assert_same(losses_of(configure("parts", **settings)), whole[1:], 1e-5)
    halves = configure("halves", **settings | {"train_batch_size": 1, "gradient_accumulation_steps": 2})
    assert_same(losses_of(halves), whole, 1e-4)


def test_small_batches_add_up_to_a_large_one(configure):
    whole = losses_of(configure("whole", train_batch_size=4, max_train_steps=3))
    parts = losses_of(configure("parts", train_batch_size=1, gradient_accumulation_steps=4, max_train_steps=3))
    assert_same(parts, whole, 1e-4)


def test_workers_make_the_same_samples(configure):
    assert_same(
        losses_of(configure("workers", dataloader_num_workers=2, max_train_steps=2)),
        losses_of(configure("none", max_train_steps=2)),
        1e-6,
    )


def test_gradient_checkpointing_changes_nothing(configure):
    assert_same(
        losses_of(configure("less", gradient_checkpointing=True, max_train_steps=2)),
        losses_of(configure("more", max_train_steps=2)),
        1e-5,
    )


def test_bf16_trains_with_about_the_same_losses(configure):
    exact, rough = (losses_of(configure(name, mixed_precision=name, max_train_steps=2)) for name in ("no", "bf16"))
    assert [record["epsilon"] for record in rough] == pytest.approx([record["epsilon"] for record in exact], rel=0.02)


def test_training_lowers_the_loss(configure):
    # With timesteps so near each other, what the first and the last steps see is alike in difficulty.
    records = losses_of(configure(max_train_steps=25, train_batch_size=4, **ONLY_300_TO_400))
    first, last = (sum(record["total"] for record in part) for part in (records[:5], records[-5:]))
    assert last < first / 2


def test_the_result_is_a_pipeline_folder_of_the_averaged_weights(configure):
    config = configure(ema_decay=0.5)
    losses_of(config)
    folder = Path(config.output) / "model"
    pipe = DiffusionPipeline.from_pretrained(folder)
    averaged = load_checkpoint(list_checkpoints(config.output)[-1])
    shadow = dict(zip(averaged["denoiser"], averaged["ema"]["shadow_params"], strict=True))
    for name, weight in pipe.unet.named_parameters():
        assert torch.equal(weight, shadow[f"unet.{name}"])
    assert not torch.equal(shadow["unet.conv_in.weight"], averaged["denoiser"]["unet.conv_in.weight"])
    frames = torch.rand(2, 3, 16, 16)
    painted = pipe(frames, mel_windows=torch.zeros(1, 80, 16), num_inference_steps=2, output_type="pt").frames
    assert painted.shape == frames.shape and painted.isfinite().all()
    assert "4 steps" in (folder / "README.md").read_text()
    assert yaml.safe_load((folder / "training.yaml").read_text())["max_train_steps"] == 4


def test_without_ema_the_result_has_the_trained_weights(configure):
    config = configure(use_ema=False, max_train_steps=2)
    losses_of(config)
    pipe = DiffusionPipeline.from_pretrained(Path(config.output) / "model")
    state = load_checkpoint(list_checkpoints(config.output)[-1])
    assert "ema" not in state
    for name, weight in pipe.unet.named_parameters():
        assert torch.equal(weight, state["denoiser"][f"unet.{name}"])
    assert len(losses_of(configure(use_ema=False, max_train_steps=3))) == 1


def test_a_refused_resume_leaves_the_settings_as_they_were(configure):
    losses_of(configure(max_train_steps=1))
    settings = Path(configure().output) / "config.yaml"
    written = settings.read_bytes()
    with pytest.raises(CheckpointError, match="was written by a run with other networks"):
        losses_of(configure(model=MODEL | {"block_out_channels": [32, 64]}))
    assert settings.read_bytes() == written


def test_only_the_newest_checkpoints_stay_and_half_written_ones_go(configure):
    config = configure(max_train_steps=5, checkpointing_steps=1)
    half = Path(config.output) / "checkpoints" / ".step-00000009.half"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    of_a_killed_run = Path(config.output) / ".model.0123abcd"
    of_a_killed_run.mkdir()
    (of_a_killed_run / "model_index.json").write_text("{}")
    losses_of(config)
    assert sorted(path.name for path in half.parent.iterdir()) == ["step-00000004.pt", "step-00000005.pt"]
    assert not of_a_killed_run.exists()


def test_a_finished_run_has_nothing_left_to_do_and_a_new_start_does_it_all(configure):
    losses_of(configure())
    assert losses_of(configure()) == []
    assert len(losses_of(configure(), resume=False)) == 4


def test_going_on_from_a_model_at_another_size(configure):
    losses_of(configure("small", size_px=8))
    folder = str(Path(configure("small").output) / "model")
    assert load_pipeline(folder, "cpu", "fp32").unet.config.sample_size == 16
    # What was learned is not lost: the first loss is far below the 1 of a new model.
    [first, *_] = losses_of(configure("large", init_from=folder, model=None, max_train_steps=1))
    [new, *_] = losses_of(configure("new", max_train_steps=1))
    assert first["epsilon"] < new["epsilon"] - 0.01


def test_a_frozen_audio_encoder_from_elsewhere_stays_as_it_is(configure):
    losses_of(configure("first", max_train_steps=1))
    folder = Path(configure("first").output) / "model" / "audio_encoder"
    config = configure(audio_encoder_from=str(folder), freeze_audio_encoder=True, max_train_steps=2)
    losses_of(config)
    before, after = (
        DiffusionPipeline.from_pretrained(Path(configure(name).output) / "model").audio_encoder.state_dict()
        for name in ("first", "run")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"size_px": 15}, ValueError, "`size_px` is 15, expected a multiple of 2"),
        ({"data": "nowhere"}, MediaError, "nowhere: no such folder"),
        ({"syncnet": "nowhere", "losses": "paper", "frames_per_sample": 5}, Diff2LipError, "nowhere"),
        ({"lpips": "nowhere.pt", "losses": {"syncnet_weight": 0, "adversarial_weight": 0}}, MediaError, "nowhere.pt"),
        ({"audio_encoder_from": "nowhere"}, Diff2LipError, "nowhere: has no config.json"),
        ({"init_from": "./no/where"}, Diff2LipError, "./no/where: no such folder here"),
    ],
)
def test_bad_input_is_one_line(configure, changes, kind, message):
    with pytest.raises(kind, match=message) as caught:
        losses_of(configure(**changes))
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_one_line(configure):
    losses_of(configure("first", max_train_steps=1))
    folder = str(Path(configure("first").output) / "model")
    wider = MODEL | {"block_out_channels": [32, 64]}
    with pytest.raises(
        ValueError, match=r"`model.block_out_channels` is \(32, 64\), but the weights in .* have \(32, 32"
    ):
        losses_of(configure(init_from=folder, model=wider))
    with pytest.raises(CheckpointError, match="was written by a run with other networks"):
        losses_of(configure("first", model=wider))
    encoder = str(Path(folder) / "audio_encoder")
    with pytest.raises(ValueError, match="`embed_dim` is 256, but the weights"):
        losses_of(configure("other", model=MODEL | {"block_out_channels": [64, 64]}, audio_encoder_from=encoder))


def test_a_damaged_checkpoint_is_one_line(configure):
    losses_of(configure(max_train_steps=2))
    newest = list_checkpoints(configure().output)[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="is damaged; delete it"):
        losses_of(configure())


NO_SPACE = "No space left on device"


@pytest.mark.parametrize(
    ("error", "reason"), [(OSError(28, NO_SPACE), NO_SPACE), (RuntimeError("pos 3 vs 2"), "the disk is full")]
)
def test_a_full_disk_is_one_line_and_earlier_checkpoints_stay(configure, monkeypatch, error, reason):
    losses_of(configure(max_train_steps=2))

    def save(state, file):
        file.write(b"the beginning")
        raise error

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(MediaError, match=f"cannot be written: {reason}.*; make room") as caught:
        losses_of(configure())
    assert "\n" not in str(caught.value)
    kept = Path(configure().output) / "checkpoints"
    assert [path.name for path in kept.iterdir()] == ["step-00000002.pt"]


def test_losses_that_cannot_be_on_are_said_once(configure, caplog):
    losses_of(configure(losses="paper", frames_per_sample=5, max_train_steps=1))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("diff2lip")]
    assert [message.partition(":")[0] for message in said] == ["the SyncNet loss is off", "the LPIPS loss is off"]


def test_samples_on_the_way(configure):
    config = configure(max_train_steps=1, validation_steps=1, held_out_fraction=0.7)
    losses_of(config)
    names = sorted(path.name for path in (Path(config.output) / "samples").iterdir())
    assert names == ["step-00000001.mp4", "step-00000001.png"]


def test_learning_rates_rise_and_fall():
    config = config_of(
        TrainConfig,
        {"data": "a", "output": "b", "max_train_steps": 101, "lr_warmup_steps": 4, "lr_scheduler": "cosine"},
    )
    cosine = (1 + math.cos(math.pi * 50 / 101)) / 2
    assert learning_rate_factor(config, 51) == pytest.approx(cosine)
    assert learning_rate_factor(config, 1) == pytest.approx(0.25)
    assert learning_rate_factor(config, 101) < 0.001


# Slow: real processes


def command(config: TrainConfig, folder: Path, processes: int = 1) -> list[str]:
    write_config(config, folder / "run.yaml")
    train_it = ["-m", "diff2lip_diffusers", "train", str(folder / "run.yaml"), "--log-every", "1"]
    if processes == 1:
        return [sys.executable, *train_it]
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = str(sock.getsockname()[1])
    launch = [str(Path(sys.executable).with_name("accelerate")), "launch", "--multi_gpu", "--main_process_port", port]
    return [*launch, "--num_processes", str(processes), *train_it]


def logged(config: TrainConfig) -> list[dict]:
    lines = (Path(config.output) / "log.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


@pytest.mark.slow
def test_a_run_that_is_killed_repeats_the_losses_when_it_goes_on(configure, tmp_path):
    whole = losses_of(configure("whole", max_train_steps=20, checkpointing_steps=10))
    config = configure("killed", max_train_steps=20, checkpointing_steps=10)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command(config, tmp_path), env=environment, stderr=subprocess.DEVNULL)
    log = Path(config.output) / "log.jsonl"
    while not list_checkpoints(config.output) or len(log.read_text().splitlines()) < 12:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command(config, tmp_path), env=environment, check=True, stderr=subprocess.DEVNULL)
    again = {int(record["step"]): record for record in logged(config)}
    assert list(again) == list(range(1, 21))
    for step, expected in enumerate(whole, start=1):
        assert {name: again[step][name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.slow
def test_two_processes_train_like_one_with_twice_the_batch(configure, syncnet, tmp_path):
    settings = {"losses": "paper", "frames_per_sample": 5, "syncnet": syncnet, "max_train_steps": 4}
    whole = losses_of(configure("one", train_batch_size=8, **settings))
    config = configure("two", train_batch_size=4, **settings)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command(config, tmp_path, processes=2), env=environment, check=True)
    for record, expected in zip(logged(config), whole, strict=True):
        assert {name: record[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-4)
