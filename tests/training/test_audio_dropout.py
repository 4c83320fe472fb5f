"""Dropped audio in training: whose, how often, what stands for it, and that it is learned and saved."""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.training_sets import SETTINGS, write_training_set
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.training.config import TrainConfig
from diff2lip_diffusers.training.config_file import config_of
from diff2lip_diffusers.training.denoiser import make_denoiser
from diff2lip_diffusers.training.denoiser_run import training_set
from diff2lip_diffusers.training.diffusion import Diffusion
from diff2lip_diffusers.training.export import export_original
from diff2lip_diffusers.training.objective import Experts, Objective
from diff2lip_diffusers.training.trainer import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_set(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture
def configure(data, tmp_path):
    def configure(output: str = "run", **changes) -> TrainConfig:
        settings = {"data": str(data), "output": str(tmp_path / output), "max_train_steps": 2}
        return config_of(TrainConfig, SETTINGS | settings | changes)

    return configure


def batch_of(config: TrainConfig, numbers: range):
    data = training_set(config, 16)
    samples = [data[number] for number in numbers]
    stacked = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
    return Diffusion(config.audio_dropout).noisy_batch(stacked), stacked


def test_the_seed_and_the_number_decide_which_samples_are_dropped(configure):
    drops = [batch_of(configure(audio_dropout=share), range(60))[0].unheard for share in (0.0, 0.3, 0.3, 1.0)]
    assert not drops[0].any() and drops[3].all()
    assert torch.equal(drops[1], drops[2]) and 0.1 < drops[1].float().mean() < 0.5
    assert torch.equal(batch_of(configure(audio_dropout=0.3), range(30, 60))[0].unheard, drops[1][30:])


@torch.no_grad()
def test_dropped_samples_do_not_hear(configure, tmp_path):
    untrained_pipeline(16).save_pretrained(tmp_path / "base")  # a new model hears nothing yet
    denoiser = make_denoiser(configure(init_from=str(tmp_path / "base"), model=None, audio_dropout=0.5)).eval()
    batch, _ = batch_of(configure(audio_dropout=0.5), range(8))
    other = dataclasses.replace(batch, mel_windows=batch.mel_windows.flip(0))
    same = (denoiser(batch) == denoiser(other)).flatten(1).all(1)
    assert torch.equal(same, batch.unheard) and 0 < batch.unheard.sum() < 8
    # The embedding that stands for no speech is that of silence at first.
    silence = denoiser.pipeline().feature_extractor(np.zeros(16000, np.float32), 16000).mel_windows[:1]
    silent = dataclasses.replace(batch, mel_windows=torch.as_tensor(silence).expand(8, -1, -1))
    unheard = batch.unheard
    torch.testing.assert_close(denoiser(batch)[unheard], denoiser(silent)[unheard], rtol=0, atol=1e-5)


def test_frames_that_were_painted_unheard_have_no_sync_loss(configure):
    config = configure(audio_dropout=0.5, frames_per_sample=5)
    config = dataclasses.replace(config, losses=dataclasses.replace(config.loss_weights, syncnet_weight=1.0))
    batch, samples = batch_of(config, range(6))
    heard = ~batch.unheard[::5]
    assert 0 < heard.sum() < 6
    seen = Experts(similarity=lambda sequences, mel: sequences.mean(dim=(1, 2, 3, 4)).sigmoid())
    objective = Objective(config, Diffusion(0.5), seen)
    output = torch.zeros(30, 6, 16, 16, requires_grad=True)
    losses, _ = objective(output, batch, samples["sync_mel"], None)
    losses["syncnet"].backward()
    touched = output.grad.unflatten(0, (6, 5)).abs().flatten(1).sum(1) > 0
    assert torch.equal(touched, heard)


def test_what_stands_for_no_speech_is_learned_and_saved(configure, tmp_path):
    config = configure(audio_dropout=0.5)
    first = make_denoiser(config).audio_encoder.null_embeds.detach().clone()
    for _ in train(config):
        pass
    pipe = load_pipeline(tmp_path / "run" / "model", "cpu", "fp32")
    assert not torch.equal(pipe.null_audio_embeds(), first)
    # Trained further without dropping, it stays.
    further = configure("further", init_from=str(tmp_path / "run" / "model"), model=None)
    for _ in train(further):
        pass
    after = load_pipeline(tmp_path / "further" / "model", "cpu", "fp32")
    assert torch.equal(after.null_audio_embeds(), pipe.null_audio_embeds())
    assert "--head-channels" in export_original(tmp_path / "run" / "model", tmp_path / "original.pt")


def test_a_frozen_encoder_keeps_silence_for_no_speech_and_no_dropping_adds_nothing(configure, tmp_path):
    untrained_pipeline(16).save_pretrained(tmp_path / "base")
    frozen = make_denoiser(
        configure(init_from=str(tmp_path / "base"), model=None, freeze_audio_encoder=True, audio_dropout=0.1)
    )
    torch.testing.assert_close(frozen.audio_encoder.null_embeds, untrained_pipeline(16).null_audio_embeds())
    assert not any(weight.requires_grad for weight in frozen.audio_encoder.parameters())
    assert make_denoiser(configure()).audio_encoder.null_embeds is None
