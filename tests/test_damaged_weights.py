"""Weights and settings that cannot work: each is refused in one line."""

import json
import math
import os
import shutil
import socket
import zipfile
from pathlib import Path

import pytest
import torch
from helpers.commands import run_command
from helpers.recorded import make_pipeline
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.errors import CheckpointError, Diff2LipError
from diff2lip_diffusers.hub import convert_checkpoint, load_pipeline
from diff2lip_diffusers.original_checkpoint import components_to_original, load_original_checkpoint
from diff2lip_diffusers.restoration.restorer_file import load_restorer
from diff2lip_diffusers.schedulers import SCHEDULERS, make_scheduler
from diff2lip_diffusers.syncnet import SyncNet, load_syncnet
from diff2lip_diffusers.training.audio_encoder_folder import load_audio_encoder


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    untrained_pipeline(sample_size=16).save_pretrained(folder)
    return folder


@pytest.fixture
def model(sound, tmp_path) -> Path:
    return shutil.copytree(sound, tmp_path / "model")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    pipe = make_pipeline("tiny")
    return components_to_original(pipe.unet, pipe.audio_encoder)


def save(path: Path, content) -> Path:
    torch.save(content, path)
    return path


def set_value(model: Path, file: str, name: str, value) -> None:
    settings = json.loads((model / file).read_text())
    (model / file).write_text(json.dumps(settings | {name: value}))


FEATURES, UNET = "feature_extractor/preprocessor_config.json", "unet/config.json"


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        (UNET, "sample_size", 63),
        (UNET, "sample_size", 0),
        (UNET, "sample_size", 10**12),
        ("scheduler/scheduler_config.json", "dynamic_thresholding_ratio", [0.995]),
        (UNET, "norm_eps", [1e-5]),
        (UNET, "norm_num_groups", -1),
        (UNET, "attention_head_dim", -16),
        (UNET, "layers_per_block", 10**6),
        ("audio_encoder/config.json", "layers_per_block", 10**6),
        ("audio_encoder/config.json", "norm_num_groups", -1),
        ("audio_encoder/config.json", "norm_eps", "small"),
        ("audio_encoder/config.json", "downsample_strides", [[[37, "["], 1], [2, 1], [2, 2]]),
        ("audio_encoder/config.json", "downsample_strides", [[2, 1], 7, [2, 2]]),
        ("audio_encoder/config.json", "downsample_strides", [[2, 1], [2, 1], [2, 2, 2]]),
        ("model_index.json", "painted_fraction", -5),
        ("model_index.json", "painted_fraction", "half"),
        ("model_index.json", "default_num_inference_steps", 0),
        (FEATURES, "hop_length", 0),
        (FEATURES, "n_fft", 10**12),
        (FEATURES, "n_fft", 7),
        (FEATURES, "window_size", 0),
        (FEATURES, "window_size", 10**6),
        (FEATURES, "min_level_db", 0),
        (FEATURES, "sampling_rate", -16000),
        (FEATURES, "sampling_rate", "16000"),
        (FEATURES, "feature_size", 63),
        (FEATURES, "preemphasis", []),
        (FEATURES, "window_size", 1.5),
        (FEATURES, "sampling_rate", [0]),
        (FEATURES, "min_level_db", 10**12),
        ("scheduler/scheduler_config.json", "beta_end", 2),
        ("scheduler/scheduler_config.json", "lambda_min_clipped", {}),
        ("scheduler/scheduler_config.json", "num_train_timesteps", 0),
    ],
)
def test_edited_settings_are_refused_by_name(model, file, name, value):
    set_value(model, file, name, value)
    with pytest.raises((Diff2LipError, ValueError)) as caught:
        load_pipeline(model, "cpu", "fp32")
    assert "\n" not in str(caught.value) and str(model) in str(caught.value)


CONFIGS = ["model_index.json", UNET, "audio_encoder/config.json", FEATURES, "scheduler/scheduler_config.json"]


@pytest.mark.parametrize("file", CONFIGS)
@pytest.mark.parametrize("content", ['"stranger/repository"', "5", "[]", "null", "", "[" * 9999, "\0", "{"])
def test_a_configuration_that_is_no_object_is_refused_without_a_request(model, file, content, monkeypatch):
    (model / file).write_text(content)

    def request(*_arguments, **_options):
        raise AssertionError("a request was made")

    monkeypatch.setattr(socket, "getaddrinfo", request)
    with pytest.raises(Diff2LipError) as caught:
        load_pipeline(model, "cpu", "fp32")
    assert "\n" not in str(caught.value) and file in str(caught.value)


def test_libraries_say_nothing_of_edited_settings(model, recwarn):
    """They would warn in several lines of filters without a frequency."""
    set_value(model, FEATURES, "n_fft", 7)
    with pytest.raises(Diff2LipError, match="its settings cannot work"):
        load_pipeline(model, "cpu", "fp32")
    assert not recwarn.list


def test_a_scheduler_that_breaks_at_a_step_is_refused(small_pipe, tmp_path):
    small_pipe.scheduler = make_scheduler("dpmsolver++", small_pipe.scheduler.config)
    small_pipe.save_pretrained(tmp_path)
    set_value(tmp_path, "scheduler/scheduler_config.json", "solver_order", 0)
    with pytest.raises(Diff2LipError, match="DPMSolverMultistepScheduler cannot make a step"):
        load_pipeline(tmp_path, "cpu", "fp32")


def test_a_sound_model_is_not_refused(model):
    assert load_pipeline(model, "cpu", "fp32").unet.config.sample_size == 16


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_no_known_scheduler_is_refused(small_pipe, tmp_path, name):
    small_pipe.scheduler = make_scheduler(name, small_pipe.scheduler.config)
    small_pipe.save_pretrained(tmp_path)
    assert type(load_pipeline(tmp_path, "cpu", "fp32").scheduler) is type(small_pipe.scheduler)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_weights_that_are_not_finite_are_refused(model, value):
    pipe = load_pipeline(model, "cpu", "fp32")
    with torch.no_grad():
        pipe.unet.conv_in.weight[0, 0, 0, 0] = value
    pipe.save_pretrained(model)
    with pytest.raises(CheckpointError, match="conv_in.weight has values that are not finite"):
        load_pipeline(model, "cpu", "fp32")


def test_the_device_without_numbers_is_refused(model):
    with pytest.raises(Diff2LipError, match="device 'meta' cannot be used"):
        load_pipeline(model, "meta", "fp32")


def test_a_checkpoint_that_is_not_finite_is_not_converted(state, tmp_path):
    name = next(iter(state))
    spoiled = save(tmp_path / "a.pt", state | {name: torch.full_like(state[name], math.nan)})
    with pytest.raises(CheckpointError, match="not finite"):
        convert_checkpoint(spoiled, tmp_path / "out", 16)
    assert not (tmp_path / "out").exists()


def test_numbers_that_fp16_cannot_hold_are_refused(state, tmp_path):
    name = "input_blocks.0.0.weight"
    with pytest.raises(CheckpointError, match="in fp16"):
        convert_checkpoint(save(tmp_path / "a.pt", state | {name: state[name] + 1e6}), tmp_path / "out", 16, "fp16")


def test_a_flipped_bit_is_noticed(state, tmp_path, capfd):
    path = save(tmp_path / "a.pt", state)
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged: .* has another checksum"):
        load_original_checkpoint(path)
    code, _, err = run_command(capfd, "convert", str(path), "--output", str(tmp_path / "out"))
    assert code == 1 and len(err) == 1 and "checksum" in err[0]


ODD = {
    "integer keys": lambda state: {1: next(iter(state.values()))},
    "a sparse tensor": lambda state: {"time_embed.0.weight": torch.eye(4).to_sparse()},
    "a meta tensor": lambda state: {"time_embed.0.weight": torch.empty(4, 1, device="meta")},
    "whole numbers": lambda state: {name: value.to(torch.int32) for name, value in state.items()},
    "numbers of 8 bits": lambda state: {name: value.to(torch.float8_e4m3fn) for name, value in state.items()},
    "a tuple as a key": lambda state: {(1, 2): next(iter(state.values()))},
    "a scalar": lambda state: state | {"time_embed.0.weight": torch.tensor(1.0)},
    "a vector": lambda state: state | {"out.2.weight": torch.zeros(3)},
    "a quantized tensor": lambda state: {"a": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8)},
    "an empty tensor": lambda state: state | {"input_blocks.0.0.weight": torch.zeros(0, 9, 3, 3)},
    "a list": lambda state: list(state.values()),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.filterwarnings("ignore")
def test_odd_checkpoints_are_refused_in_one_line(kind, state, tmp_path, capfd):
    path = save(tmp_path / "odd.pt", ODD[kind](state))
    code, out, err = run_command(
        capfd, "convert", str(path), "--output", str(tmp_path / "out"), "--head-channels", "16"
    )
    assert (code, out, len(err)) == (1, [], 1) and err[0].startswith(f"diff2lip convert: {path}: ")
    assert not (tmp_path / "out").exists()


def test_converted_files_have_the_rights_that_the_umask_leaves(state, tmp_path):
    before = os.umask(0o027)
    try:
        convert_checkpoint(save(tmp_path / "a.pt", state), tmp_path / "out", 16)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*") if path.is_file()} == {0o640}


def as_pickle(folder: Path, component) -> Path:
    component.save_pretrained(folder, safe_serialization=False)
    assert list(folder.glob("*.bin")) and not list(folder.glob("*.safetensors"))
    return folder


def test_pickles_are_refused_everywhere(model, tmp_path):
    pipe = load_pipeline(model, "cpu", "fp32")
    syncnet = SyncNet(input_size=48, block_out_channels=(4, 4, 4, 4, 4), embed_dim=8)
    with pytest.raises(Diff2LipError):
        load_syncnet(as_pickle(tmp_path / "syncnet", syncnet))
    with pytest.raises(Diff2LipError):
        load_audio_encoder(as_pickle(tmp_path / "audio", pipe.audio_encoder))
    for name in ("pytorch_lora_weights.bin", "pytorch_lora_weights.safetensors"):
        (tmp_path / name).mkdir()
        torch.save({"unet.lora": torch.zeros(1)}, tmp_path / name / name)
        with pytest.raises(Diff2LipError):
            load_pipeline(model, "cpu", "fp32", lora=[(tmp_path / name, 1.0)])
    for name in ("unet", "audio_encoder"):
        shutil.copytree(model, tmp_path / f"no_{name}")
        shutil.rmtree(tmp_path / f"no_{name}" / name)
        as_pickle(tmp_path / f"no_{name}" / name, getattr(pipe, name))
        with pytest.raises(Diff2LipError):
            load_pipeline(tmp_path / f"no_{name}", "cpu", "fp32")


class RunsCode:
    """Its pickle would run a program when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", ["face.pth", "face.pt", "face.ckpt", "face.bin"])
@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_runs_from_checkpoints(tmp_path, name, zipped):
    path = tmp_path / name
    torch.save({"a": RunsCode(tmp_path / "ran")}, path, _use_new_zipfile_serialization=zipped)
    for read in (load_original_checkpoint, lambda file: load_restorer(file, torch.device("cpu")), load_syncnet):
        with pytest.raises((Diff2LipError, ValueError)) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
