"""The audio encoder against recorded outputs."""

import copy

import pytest
import torch
from helpers.recorded import DATA
from safetensors.torch import load_file

from diff2lip_diffusers import Diff2LipAudioEncoder


@pytest.fixture
def encoder(tiny_components):
    return copy.deepcopy(tiny_components[1])


@pytest.fixture(scope="module")
def recorded():
    return load_file(DATA / "tiny_forward.safetensors")


@torch.no_grad()
def test_matches_the_recorded_output(encoder, recorded):
    torch.testing.assert_close(encoder(recorded["indiv_mels"]), recorded["audio_style"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_windows_do_not_influence_each_other(encoder, recorded):
    both = encoder(recorded["indiv_mels"])
    torch.testing.assert_close(encoder(recorded["indiv_mels"][1:]), both[1:])


@torch.no_grad()
def test_save_and_load(encoder, recorded, tmp_path):
    encoder.save_pretrained(tmp_path)
    again = Diff2LipAudioEncoder.from_pretrained(tmp_path)
    torch.testing.assert_close(again(recorded["indiv_mels"]), encoder(recorded["indiv_mels"]), rtol=1e-5, atol=1e-5)


def test_gradient_checkpointing_gives_the_same_gradients(encoder, recorded):
    def gradient():
        encoder.zero_grad()
        encoder(recorded["indiv_mels"]).square().mean().backward()
        return encoder.conv_in.weight.grad.clone()

    expected = gradient()
    encoder.enable_gradient_checkpointing()
    torch.testing.assert_close(gradient(), expected)


def test_wrong_number_of_strides_is_named():
    with pytest.raises(ValueError, match="`downsample_strides` has 2 pairs, 4 levels"):
        Diff2LipAudioEncoder(downsample_strides=((2, 1), (2, 2)))
