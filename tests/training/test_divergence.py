"""Training that diverges stops with one line, and keeps its good checkpoints."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from helpers.commands import run_command
from helpers.training_sets import SETTINGS, write_training_set

from diff2lip_diffusers.syncnet import SyncNet
from diff2lip_diffusers.training import divergence
from diff2lip_diffusers.training.checkpoints import list_checkpoints, load_checkpoint
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of
from diff2lip_diffusers.training.divergence import DivergedError, DivergenceWatch, all_finite
from diff2lip_diffusers.training.syncnet_config import SyncNetTrainConfig
from diff2lip_diffusers.training.syncnet_trainer import train_syncnet
from diff2lip_diffusers.training.trainer import Trainer, train


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_training_set(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def config(data, tmp_path) -> TrainConfig:
    return config_of(TrainConfig, SETTINGS | {"data": str(data), "output": str(tmp_path / "run")})


@pytest.fixture(autouse=True)
def few_skipped_steps(monkeypatch):
    monkeypatch.setattr(divergence, "MAX_SKIPPED_STEPS", 3)


def steps_of(config) -> list[int]:
    return [int(path.stem.removeprefix("step-")) for path in list_checkpoints(config.output)]


def test_a_huge_learning_rate_ends_in_one_line_and_keeps_good_weights(config, tmp_path, capfd):
    list(train(config))
    before = list_checkpoints(config.output)
    settings = SETTINGS | {"data": str(config.data), "output": str(config.output), "max_train_steps": 40}
    settings |= {"learning_rate": 1e30, "checkpointing_steps": 1, "checkpoints_total_limit": 1}
    (tmp_path / "diverging.yaml").write_text(yaml.safe_dump(settings))
    code, out, err = run_command(capfd, "train", str(tmp_path / "diverging.yaml"), "--log-every", "1")
    assert code == 1 and not out
    (told,) = [line for line in err if line.startswith("diff2lip train: ")]
    assert "training diverged" in told and "lower `learning_rate`, which is 1e+30" in told
    assert list_checkpoints(config.output)[-1] == before[-1]
    assert not list((tmp_path / "run").glob(".*"))
    assert all_finite(load_checkpoint(before[-1]))
    for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("spoiled", ["losses", "gradients"])
def test_steps_that_are_not_finite_are_skipped_and_training_goes_on(config, monkeypatch, spoiled):
    trainer = Trainer(replace(config, max_train_steps=6, checkpointing_steps=1, checkpoints_total_limit=9))
    accumulate = trainer._accumulate

    def spoil(samples, is_last):
        is_spoiled = trainer.step in (2, 3)
        if is_spoiled and spoiled == "losses":
            samples["frames"] = torch.full_like(samples["frames"], math.nan)
        losses = accumulate(samples, is_last)
        if is_spoiled:
            next(weight.grad for weight in trainer._trained if weight.grad is not None).fill_(math.inf)
        return losses

    monkeypatch.setattr(trainer, "_accumulate", spoil)
    records = list(trainer.run())
    trainer.close()
    finite = [True, spoiled == "gradients", spoiled == "gradients", True, True, True]
    assert [math.isfinite(record.losses["total"]) for record in records] == finite
    assert steps_of(config) == [1, 4, 5, 6]
    assert all(all_finite(load_checkpoint(path)) for path in list_checkpoints(config.output))


def test_a_run_whose_last_steps_were_skipped_has_not_succeeded(config, monkeypatch):
    trainer = Trainer(config)
    accumulate = trainer._accumulate

    def spoiled(samples, is_last):
        if trainer.step == 4:
            samples["frames"] = torch.full_like(samples["frames"], math.inf)
        return accumulate(samples, is_last)

    monkeypatch.setattr(trainer, "_accumulate", spoiled)
    with pytest.raises(DivergedError, match="not finite since step 4"):
        list(trainer.run())
    trainer.close()
    assert steps_of(config) == [2]


def test_a_syncnet_that_diverges_keeps_its_good_checkpoint(data, tmp_path):
    first = SyncNet(input_size=48, block_out_channels=(4, 4, 4, 4, 4), embed_dim=8)
    first.save_pretrained(tmp_path / "first")
    settings = {
        "data": str(data),
        "output": str(tmp_path / "run"),
        "max_train_steps": 30,
        "init_from": str(tmp_path / "first"),
        "clips_per_batch": 2,
        "windows_per_clip": 2,
        "learning_rate": 1e36,
        "lr_warmup_steps": 0,
        "validation_steps": 0,
        "held_out_fraction": 0.0,
        "checkpointing_steps": 1,
    }
    with pytest.raises(DivergedError, match="lower `learning_rate`"):
        list(train_syncnet(config_of(SyncNetTrainConfig, settings)))
    assert all(all_finite(load_checkpoint(path)) for path in list_checkpoints(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"learning_rate": 0.1}, "lower `learning_rate`, which is 0.1 "),
        ({"max_grad_norm": None}, "set `max_grad_norm`"),
        ({"mixed_precision": "fp16"}, "set `mixed_precision` to bf16"),
        ({"learning_rate": 5e-4}, "lower `learning_rate`, which is 0.0005"),
    ],
)
def test_the_likely_cure_is_told(config, changes, cure):
    watch = DivergenceWatch(replace(config, **{"learning_rate": 1e-4} | changes))
    for step in (7, 8, 9):
        assert not watch.judge(step, [1.0, math.nan])
    with pytest.raises(DivergedError, match="since step 7") as caught:
        watch.judge(10, [math.inf])
    assert cure in str(caught.value) and "\n" not in str(caught.value)
