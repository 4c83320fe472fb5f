"""A damaged clip of a training set: named and skipped; if there are too many, training stops with a checkpoint."""

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from helpers.training_sets import SETTINGS, write_training_set

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.training.checkpoints import list_checkpoints
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of
from diff2lip_diffusers.training.trainer import train
from diff2lip_diffusers.training.training_clips import find_clips
from diff2lip_diffusers.training.training_set import TrainingSet


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_training_set(tmp_path_factory.mktemp("data") / "set", frames=(12, 12, 12))


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "set")


def cut_video(folder: Path, number: int):
    path = folder / "clips" / f"clip_{number:05d}.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def cut_speech(folder: Path, number: int):
    path = folder / "clips" / f"clip_{number:05d}.wav"
    path.write_bytes(path.read_bytes()[:-3001])


def remove_video(folder: Path, number: int):
    (folder / "clips" / f"clip_{number:05d}.mp4").unlink()


def flip_bits(folder: Path, number: int):
    path = folder / "clips" / f"clip_{number:05d}.mp4"
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") + 4
    content[place : place + 4000] = bytes(value ^ 0x5A for value in content[place : place + 4000])
    path.write_bytes(content)


def pipe_for_video(folder: Path, number: int):
    remove_video(folder, number)
    os.mkfifo(folder / "clips" / f"clip_{number:05d}.mp4")


def pipe_for_speech(folder: Path, number: int):
    path = folder / "clips" / f"clip_{number:05d}.wav"
    path.unlink()
    os.mkfifo(path)


def hours_of_zeros(folder: Path, number: int):
    """Two GiB, as the header says; they take no room on the disk."""
    path = folder / "clips" / f"clip_{number:05d}.wav"
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = ((2 << 30) - 100).to_bytes(4, "little")
    path.write_bytes(content)
    os.truncate(path, 2 << 30)


DAMAGES = [cut_video, cut_speech, remove_video, flip_bits, pipe_for_video, pipe_for_speech, hours_of_zeros]


@pytest.mark.parametrize("cache", ["none", "memory"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_samples_of_a_damaged_clip_are_drawn_from_others(whole, folder, damage, cache):
    damage(folder, 1)
    sound = TrainingSet(whole, 16, 1, cache=cache)
    damaged = TrainingSet(folder, 16, 1, cache=cache)
    same = [torch.equal(sound[number]["frames"], damaged[number]["frames"]) for number in range(20)]
    assert set(damaged.damaged) == {1} and "clip_00001" in damaged.damaged[1]
    assert 0 < sum(same) < 20
    again = TrainingSet(folder, 16, 1, cache=cache)  # another order, as after a restart
    for number in reversed(range(20)):
        assert torch.equal(again[number]["frames"], damaged[number]["frames"])


def config_for(folder: Path, output: Path, **changes) -> TrainConfig:
    settings = SETTINGS | {"data": str(folder), "output": str(output), "cache": "none", "max_train_steps": 6}
    return config_of(TrainConfig, settings | changes)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_names_a_damaged_clip_once_and_goes_on(folder, tmp_path, caplog, workers):
    cut_video(folder, 1)
    with caplog.at_level(logging.WARNING):
        records = list(train(config_for(folder, tmp_path / "run", dataloader_num_workers=workers)))
    assert len(records) == 6
    told = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert len(told) == 1 and "clip_00001.mp4" in told[0]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("count", [2, 3])
def test_training_stops_with_a_checkpoint_if_too_many_are_damaged(folder, tmp_path, count, workers):
    list(train(config_for(folder, tmp_path / "run", max_train_steps=2)))
    for number in range(count):
        cut_video(folder, number)
    config = config_for(folder, tmp_path / "run", max_train_steps=50, checkpointing_steps=50)
    steps = []
    with pytest.raises(MediaError, match=f"{count} of 3 clips are damaged") as caught:
        for record in train(config):
            steps.append(record.step)
    assert "clip_0000" in str(caught.value) and "\n" not in str(caught.value)
    saved = [int(path.stem.removeprefix("step-")) for path in list_checkpoints(config.output)]
    assert saved[-1] == max(steps, default=2) + (count == 2)


@pytest.mark.parametrize("name", ["index.jsonl", "settings.json"])
def test_a_set_with_pipes_is_refused_at_once(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(MediaError, match=f"{name}: is a pipe or a device"):
        find_clips(folder)
