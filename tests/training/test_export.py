"""Export to the original layout and back."""

import pytest
import torch
from helpers.recorded import make_pipeline
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.errors import CheckpointError, MediaError
from diff2lip_diffusers.original_checkpoint import components_from_original, load_original_checkpoint
from diff2lip_diffusers.training.export import export_original


def test_an_exported_model_gives_the_same_samples_when_it_is_converted_again(tmp_path):
    pipe = make_pipeline("tiny")
    pipe.save_pretrained(tmp_path / "model")
    said = export_original(tmp_path / "model", tmp_path / "exported.pt")
    config = pipe.unet.config
    assert said.endswith(f"--head-channels 16 --norm-groups 32 --sample-size {config.sample_size}")
    state_dict = load_original_checkpoint(tmp_path / "exported.pt")
    again = make_pipeline("tiny")
    again.unet, again.audio_encoder = components_from_original(
        state_dict, config.attention_head_dim, config.sample_size
    )
    call = {"mel_windows": torch.zeros(1, 80, 16), "num_inference_steps": 2, "output_type": "pt"}
    frames = torch.rand(1, 3, config.sample_size, config.sample_size)
    painted = (one(frames, generator=torch.Generator().manual_seed(7), **call).frames for one in (pipe, again))
    assert torch.equal(*painted)


def test_what_the_layout_cannot_tell_is_refused(tmp_path):
    pipe = untrained_pipeline(sample_size=16)
    pipe.audio_encoder.register_to_config(norm_eps=1e-3)
    pipe.save_pretrained(tmp_path / "model")
    with pytest.raises(CheckpointError, match="`norm_eps` is 0.001, which the original layout cannot hold"):
        export_original(tmp_path / "model", tmp_path / "exported.pt")
    assert not (tmp_path / "exported.pt").exists()


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    untrained_pipeline(sample_size=16).save_pretrained(tmp_path / "model")
    with pytest.raises(MediaError, match="cannot be written: its folder does not exist"):
        export_original(tmp_path / "model", tmp_path / "none" / "exported.pt")
