"""Adapters (LoRA) under diffusers' names, in files of diffusers and of a training run."""

from pathlib import Path

import pytest
import torch
from helpers.untrained import untrained_pipeline
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from diff2lip_diffusers import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.training.lora import LoraSettings, add_lora, save_lora

NAME = "pytorch_lora_weights.safetensors"
FRAMES = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
# `conv_out` computes in float32, whatever the precision of the rest.
LAYERS = ("to_q", "conv1", "conv_out")


def sample(pipe) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    arguments = {"mel_windows": torch.zeros(1, 80, 16), "num_inference_steps": 2, "output_type": "pt"}
    return pipe(FRAMES, generator=torch.Generator().manual_seed(7), **arguments).frames


def assert_near(one: torch.Tensor, other: torch.Tensor, atol: float = 1e-4) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=atol)


def write_adapter(folder: Path, seed: int, base: str | None = None) -> torch.Tensor:
    """Writes an adapter as a training run does; returns what its pipeline paints."""
    tuned = untrained_pipeline(16)
    add_lora(tuned.unet, LoraSettings(alpha=8, target_modules=LAYERS), seed=seed)
    torch.manual_seed(seed)
    for name, weight in tuned.unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    save_lora(tuned.unet, folder, base)
    return sample(tuned)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> dict[str, tuple[str, torch.Tensor]]:
    """Two adapters: their folders, and what is painted with them."""
    folder = tmp_path_factory.mktemp("adapters")
    return {
        name: (str(folder / name), write_adapter(folder / name, seed)) for seed, name in enumerate(("anna", "ben"))
    }


def test_adapters_are_loaded_switched_fused_and_removed(adapters):
    pipe = untrained_pipeline(16)
    plain = sample(pipe)
    (anna, with_anna), (ben, with_ben) = adapters.values()
    pipe.load_lora_weights(anna, adapter_name="anna")
    assert (pipe.get_list_adapters(), pipe.get_active_adapters()) == ({"unet": ["anna"]}, ["anna"])
    assert_near(sample(pipe), with_anna)
    assert (with_anna - plain).abs().max() > 1e-2
    pipe.load_lora_weights(ben, adapter_name="ben")
    pipe.set_adapters("ben")
    assert_near(sample(pipe), with_ben)
    pipe.set_adapters(["anna", "ben"], [1.0, 0.5])
    both = sample(pipe)
    pipe.fuse_lora()
    assert pipe.num_fused_loras == 2
    assert_near(sample(pipe), both)
    pipe.unfuse_lora()
    assert pipe.num_fused_loras == 0
    pipe.disable_lora()
    assert_near(sample(pipe), plain)
    pipe.enable_lora()
    assert_near(sample(pipe), both)
    pipe.delete_adapters("ben")
    assert pipe.get_list_adapters() == {"unet": ["anna"]}
    pipe.unload_lora_weights()
    assert pipe.get_list_adapters() == {}
    assert_near(sample(pipe), plain)


def test_a_saved_adapter_has_the_names_of_diffusers_and_its_scale(adapters, tmp_path):
    folder, expected = adapters["anna"]
    pipe = untrained_pipeline(16)
    pipe.load_lora_weights(folder, adapter_name="anna")
    layers = get_peft_model_state_dict(pipe.unet, adapter_name="anna")
    pipe.save_lora_weights(tmp_path, layers, unet_lora_adapter_metadata=pipe.unet.peft_config["anna"].to_dict())
    saved = load_file(tmp_path / NAME)
    assert all(name.startswith("unet.") for name in saved)
    assert pipe.lora_state_dict(folder).keys() == saved.keys()
    for source in (tmp_path, str(tmp_path / NAME), folder):
        again = untrained_pipeline(16)
        again.load_lora_weights(source)
        assert again.get_list_adapters() == {"unet": ["default_0"]}
        assert_near(sample(again), expected)


def test_weights_in_memory_are_an_adapter_too(adapters):
    folder, _ = adapters["anna"]
    one, other = untrained_pipeline(16), untrained_pipeline(16)
    weights = load_file(f"{folder}/{NAME}")
    one.load_lora_weights(weights)
    other.load_lora_weights({name.removeprefix("unet."): weight for name, weight in weights.items()})
    assert torch.equal(sample(one), sample(other))


def test_what_is_not_an_adapter_is_refused(adapters, tmp_path):
    pipe = untrained_pipeline(16)
    with pytest.raises(ValueError, match="not those of an adapter"):
        pipe.load_lora_weights({"conv_in.weight": torch.zeros(1)})
    torch.save({"conv_in.lora_A.weight": torch.zeros(1)}, tmp_path / "pytorch_lora_weights.bin")
    with pytest.raises(OSError, match="no file named"):
        pipe.load_lora_weights(tmp_path)
    assert pipe.get_list_adapters() == {}


# Adapters in `load_pipeline`, for `--lora` and `--model`


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    untrained_pipeline(16).save_pretrained(folder)
    return folder


def load(model, **options):
    return load_pipeline(model, "cpu", options.pop("dtype", "fp32"), **options)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_adapters_are_fused_with_the_weights_by_their_scales(adapters, base, dtype):
    (anna, with_anna), (ben, _) = adapters.values()
    pipe = load(base, dtype=dtype, lora=[(anna, 1.0)])
    assert not any("lora" in name for name in pipe.unet.state_dict())
    assert_near(sample(pipe), with_anna, 1e-4 if dtype == "fp32" else 0.2)
    if dtype == "fp32":
        both = load(base)
        both.load_lora_weights(anna, adapter_name="anna")
        both.load_lora_weights(ben, adapter_name="ben")
        both.set_adapters(["anna", "ben"], [0.5, 2.0])
        assert_near(sample(load(base, lora=[(anna, 0.5), (ben, 2.0)])), sample(both))


def test_the_folder_of_a_run_stands_for_its_base_with_its_adapter(base, tmp_path, monkeypatch):
    monkeypatch.chdir(base.parent)
    expected = write_adapter(tmp_path / "run" / "lora", 0, base=base.name)  # as given in a configuration
    monkeypatch.chdir(tmp_path)
    for model in ("run", "run/lora"):
        assert_near(sample(load(model)), expected)
    assert_near(sample(load(base, lora=[("run", 1.0)])), expected)


def test_a_base_that_is_gone_or_unknown_is_one_line(adapters, tmp_path):
    write_adapter(tmp_path / "run" / "lora", 0, base=str(tmp_path))
    moved = tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    metadata_of_gone = load_metadata(moved / "lora" / NAME).replace(str(tmp_path), str(tmp_path / "gone"))
    save_file(load_file(moved / "lora" / NAME), moved / "lora" / NAME, {"lora_adapter_metadata": metadata_of_gone})
    with pytest.raises(Diff2LipError, match="the model it was trained on is gone: .*gone; pass the model"):
        load(moved)
    with pytest.raises(Diff2LipError, match="does not say which model it was trained on"):
        load(adapters["anna"][0])


def load_metadata(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()["lora_adapter_metadata"]


def test_an_adapter_of_another_model_or_none_is_one_line(adapters, base, tmp_path):
    other = untrained_pipeline(16)
    other.unet = Diff2LipUNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64),
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        layers_per_block=1,
        attention_head_dim=16,
    )
    other.save_pretrained(tmp_path / "other")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / NAME).write_bytes(b"no weights")
    for model, lora, message in (
        (tmp_path / "other", adapters["anna"][0], "cannot be added as a LoRA: it is for another model"),
        (base, tmp_path / "damaged", "cannot be added as a LoRA"),
        (base, tmp_path / "gone", "cannot be added as a LoRA"),
        (base, base, "cannot be added as a LoRA"),
    ):
        with pytest.raises(Diff2LipError, match=message) as caught:
            load(model, lora=[(lora, 1.0)])
        assert "\n" not in str(caught.value) and str(lora) in str(caught.value)
