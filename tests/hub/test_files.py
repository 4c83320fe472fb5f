"""Checkpoints and models by their place: on the Hub, in a subfolder, at a revision."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from helpers.hub_stand_in import HubStandIn, use_stand_in
from helpers.recorded import HEAD_CHANNELS
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import Diff2LipPipeline, load_pipeline
from diff2lip_diffusers.cli import main
from diff2lip_diffusers.errors import Diff2LipError, MediaError

HEADS = HEAD_CHANNELS["tiny"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubStandIn(tmp_path / "hub") as server:
        use_stand_in(server, monkeypatch)
        yield server
        assert server.unanswered == []


@pytest.fixture
def checkpoint(tiny_state_dict, tmp_path):
    (tmp_path / "original").mkdir()
    torch.save(tiny_state_dict, tmp_path / "original" / "e7.24.1.3_model260000_notUsingPaperModel.pt")
    return next((tmp_path / "original").iterdir())


def assert_same_weights(pipe, components) -> None:
    for network, expected in zip((pipe.unet, pipe.audio_encoder), components, strict=True):
        own = network.state_dict()
        assert all(torch.equal(own[name], tensor) for name, tensor in expected.state_dict().items())


def test_a_single_file_is_loaded_under_diffusers_name(checkpoint, tiny_components):
    pipe = Diff2LipPipeline.from_single_file(checkpoint, head_channels=HEADS)
    assert type(pipe) is Diff2LipPipeline and not pipe.unet.training
    assert_same_weights(pipe, tiny_components)
    assert pipe.config["weights_license"] == "cc-by-nc-4.0"
    scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    other = Diff2LipPipeline.from_single_file(
        str(checkpoint), head_channels=HEADS, dtype=torch.bfloat16, scheduler=scheduler
    )
    assert other.scheduler is scheduler
    assert (other.unet.conv_in.weight.dtype, other.unet.conv_out.weight.dtype) == (torch.bfloat16, torch.float32)
    with pytest.raises(ValueError, match="no argument `colour`"):
        Diff2LipPipeline.from_single_file(checkpoint, head_channels=HEADS, colour=1)


def test_a_checkpoint_on_the_hub_is_converted(hub, checkpoint, tiny_components, tmp_path, capsys):
    repo = hub.create_repo("somebody/original", private=True, source=checkpoint.parent)
    first = repo.sha
    repo.commit("worse", {checkpoint.name: b"nothing"})
    place = f"hf:somebody/original/{checkpoint.name}"
    convert = ["convert", place, "--head-channels", str(HEADS), "--hub-cache-dir", str(tmp_path / "cache")]
    assert main([*convert, "--output", str(tmp_path / "model"), "--revision", first, "--token", hub.token]) == 0
    assert "no commercial use" in capsys.readouterr().out
    assert_same_weights(load_pipeline(tmp_path / "model", "cpu", "fp32"), tiny_components)
    assert main([*convert, "--output", str(tmp_path / "other")]) == 1  # the newest revision holds nothing
    link = f"{hub.url}/somebody/original/blob/{first}/{checkpoint.name}"
    pipe = Diff2LipPipeline.from_single_file(link, head_channels=HEADS, cache_dir=tmp_path / "cache")
    assert_same_weights(pipe, tiny_components)
    capsys.readouterr()
    for wrong, said in (("hf:somebody/none/a.pt", "not downloaded from the Hub"), ("hf:a.pt", "expected hf:OWNER")):
        assert main(["convert", wrong, "--output", str(tmp_path / "none")]) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "none").exists()


def test_revision_token_cache_and_subfolder(hub, tmp_path):
    pipe = untrained_pipeline(sample_size=16)
    pipe.save_pretrained(tmp_path / "source" / "models" / "small")
    repo = hub.create_repo("somebody/lips", private=True, source=tmp_path / "source")
    revision = repo.sha
    repo.commit("empty", {"models/small/model_index.json": b"{}"})
    call = {"device": "cpu", "dtype": "fp32", "subfolder": "models/small"}
    place = {"revision": revision, "token": hub.token, "cache_dir": tmp_path / "cache"}
    loaded = load_pipeline("somebody/lips", **call, **place)
    assert_same_weights(loaded, (pipe.unet, pipe.audio_encoder))
    assert (tmp_path / "cache" / "models--somebody--lips").is_dir()
    with pytest.raises(Diff2LipError, match="not downloaded from the Hub"):
        load_pipeline("somebody/lips", **call, **place | {"token": False, "cache_dir": tmp_path / "other"})
    local = load_pipeline(tmp_path / "source", **call)
    assert_same_weights(local, (pipe.unet, pipe.audio_encoder))
    with pytest.raises(MediaError, match="no such model folder"):
        load_pipeline(tmp_path / "source", "cpu", subfolder="models/none")
    with pytest.raises(ValueError, match="expected a folder inside"):
        load_pipeline(tmp_path / "source", "cpu", subfolder="../source/models/small")


def test_a_repository_itself_takes_revision_and_token(hub, tmp_path):
    pipe = untrained_pipeline(sample_size=16)
    pipe.save_pretrained(tmp_path / "source")
    repo = hub.create_repo("somebody/lips", private=True, source=tmp_path / "source")
    revision = repo.sha
    repo.commit("empty", {"model_index.json": b"{}"})
    place = {"revision": revision, "token": hub.token, "cache_dir": tmp_path / "cache"}
    loaded = load_pipeline("somebody/lips", "cpu", "fp32", **place)
    assert_same_weights(loaded, (pipe.unet, pipe.audio_encoder))
    with pytest.raises(Diff2LipError, match="cannot be loaded as a pipeline"):
        load_pipeline("somebody/lips", "cpu", "fp32", token=hub.token, cache_dir=tmp_path / "cache")
