"""The mapping of names and tensors, and what is refused."""

import json
import pickle

import pytest
import torch
from helpers.recorded import DATA, HEAD_CHANNELS

from diff2lip_diffusers import CheckpointError, MediaError
from diff2lip_diffusers.original_checkpoint import (
    components_from_original,
    components_to_original,
    load_original_checkpoint,
)


def meta_state_dict(config: str) -> dict[str, torch.Tensor]:
    manifest = json.loads((DATA / f"{config}_manifest.json").read_text())
    return {name: torch.empty(shape, device="meta") for name, shape in manifest.items()}


@pytest.mark.parametrize(("config", "count"), [("released", 632), ("tiny", 556)])
def test_names_map_one_to_one_and_back(config, count):
    original = meta_state_dict(config)
    unet, audio_encoder = components_from_original(original, HEAD_CHANNELS[config])
    restored = components_to_original(unet, audio_encoder)
    assert len(original) == count
    assert {name: tensor.shape for name, tensor in restored.items()} == {k: v.shape for k, v in original.items()}


def test_inverse_restores_every_tensor(tiny_state_dict, tiny_components):
    restored = components_to_original(*tiny_components)
    assert all(torch.equal(restored[name], tensor) for name, tensor in tiny_state_dict.items())


def test_released_sizes_are_the_default_configuration():
    unet, audio_encoder = components_from_original(meta_state_dict("released"))
    assert (unet.config.sample_size, unet.config.block_out_channels) == (128, (128, 128, 256, 384, 512))
    for component in (unet, audio_encoder):
        with torch.device("meta"):
            default = type(component)()
        assert {k: v.shape for k, v in component.state_dict().items()} == {
            k: v.shape for k, v in default.state_dict().items()
        }


def test_sizes_are_read_off_the_shapes(tiny_components):
    unet, audio_encoder = tiny_components
    assert unet.config.sample_size == 64
    assert unet.config.block_out_channels == (32, 64, 96, 128)
    assert unet.config.down_block_types == ("ResnetDownsampleBlock2D", *["AttnDownBlock2D"] * 3)
    assert audio_encoder.config.embed_dim == unet.config.time_embedding_dim == 128


def test_another_family_member_survives_the_round_trip():
    from diff2lip_diffusers import Diff2LipAudioEncoder, Diff2LipUNet2DConditionModel

    unet = Diff2LipUNet2DConditionModel(
        sample_size=64,
        block_out_channels=(64, 32, 64),
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        layers_per_block=3,
        attention_head_dim=32,
        time_embedding_dim=256,
    )
    audio_encoder = Diff2LipAudioEncoder(embed_dim=256, layers_per_block=1)
    original = components_to_original(unet, audio_encoder)
    unet_again, audio_again = components_from_original(original, head_channels=32)
    for before, after in ((unet, unet_again), (audio_encoder, audio_again)):
        assert all(torch.equal(after.state_dict()[name], value) for name, value in before.state_dict().items())
    assert unet_again.config.layers_per_block == 3
    assert audio_again.config.layers_per_block == 1


@pytest.mark.parametrize(
    "name", ["out.2.bias", "input_blocks.4.1.qkv.weight", "audio_encoder.middle_block.0.in_layers.2.bias"]
)
def test_missing_tensor_is_named(name):
    state_dict = meta_state_dict("tiny")
    del state_dict[name]
    with pytest.raises(CheckpointError) as caught:
        components_from_original(state_dict, 16)
    assert name in caught.value.missing


def test_unexpected_tensor_is_named():
    state_dict = meta_state_dict("tiny") | {"label_emb.weight": torch.empty(10, 128, device="meta")}
    with pytest.raises(CheckpointError, match="unexpected label_emb.weight") as caught:
        components_from_original(state_dict, 16)
    assert caught.value.unexpected == ("label_emb.weight",)


def test_wrong_shape_is_named():
    state_dict = meta_state_dict("tiny") | {"out.2.bias": torch.empty(5, device="meta")}
    with pytest.raises(CheckpointError, match=r"out\.2\.bias has shape \(5,\), expected \(6,\)"):
        components_from_original(state_dict, 16)


def test_cut_first_tensor_is_named(recwarn):
    state_dict = meta_state_dict("tiny") | {"time_embed.0.weight": torch.empty(1, 32, device="meta")}
    with pytest.raises(CheckpointError, match=r"time_embed\.0\.weight has shape \(1, 32\)"):
        components_from_original(state_dict, 16)
    assert not recwarn


def test_plain_guided_diffusion_lacks_the_audio_encoder():
    state_dict = {name: value for name, value in meta_state_dict("tiny").items() if "audio" not in name}
    with pytest.raises(CheckpointError, match="missing audio_encoder"):
        components_from_original(state_dict, 16)


def test_wav2lip_is_foreign():
    state_dict = {"face_encoder_blocks.0.0.conv_block.0.weight": torch.empty(16, 6, 7, 7)}
    with pytest.raises(CheckpointError, match="unexpected face_encoder_blocks"):
        components_from_original(state_dict)


@pytest.mark.parametrize("head_channels", [0, 7, 64])
def test_head_channels_must_divide(head_channels):
    with pytest.raises(ValueError, match=f"`head_channels` is {head_channels}"):
        components_from_original(meta_state_dict("tiny"), head_channels)


class Malicious:
    def __reduce__(self):
        return (print, ("this must not run",))


def write_bad_file(kind: str, path):
    if kind == "malicious":
        torch.save({"weight": Malicious()}, path)
    elif kind == "nested":
        torch.save({"state_dict": {"weight": torch.zeros(1)}, "global_step": 3}, path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)
    elif kind == "empty dict":
        torch.save({}, path)
    elif kind == "truncated":
        torch.save({"weight": torch.zeros(10_000)}, path)
        path.write_bytes(path.read_bytes()[:20_000])
    elif kind == "text":
        path.write_text("this is not a checkpoint")
    elif kind == "plain pickle":
        path.write_bytes(pickle.dumps({"weight": 3}))
    else:
        path.write_bytes(b"")


KINDS = ["malicious", "nested", "list", "empty dict", "truncated", "text", "plain pickle", "empty file"]


@pytest.mark.parametrize("kind", KINDS)
def test_anything_but_tensors_is_refused_in_one_line(kind, tmp_path, capfd):
    path = tmp_path / "checkpoint.pt"
    write_bad_file(kind, path)
    with pytest.raises(CheckpointError) as caught:
        load_original_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "must not run" not in capfd.readouterr().out


@pytest.mark.parametrize("name", ["absent.pt", ""])
def test_missing_file_and_folder_are_refused(name, tmp_path):
    with pytest.raises(MediaError, match="no such checkpoint file|is a directory"):
        load_original_checkpoint(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_file_formats_of_torch_load(zipped, tmp_path):
    torch.save({"weight": torch.arange(3.0)}, tmp_path / "c.pt", _use_new_zipfile_serialization=zipped)
    assert torch.equal(load_original_checkpoint(tmp_path / "c.pt")["weight"], torch.arange(3.0))
