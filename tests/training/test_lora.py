"""Low-rank adapters: small, loadable, and nothing but the adapter learns."""

import sys

import pytest
import torch
from helpers.untrained import untrained_pipeline
from safetensors.torch import load_file

from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.training.lora import LoraSettings, add_lora, save_lora


def changed(unet: Diff2LipUNet2DConditionModel) -> None:
    """Gives the adapter's second matrices, which begin as 0, other values."""
    torch.manual_seed(1)
    for name, weight in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)


def test_an_adapter_loads_onto_the_pipeline_it_was_trained_on(tmp_path):
    frames, call = torch.rand(1, 3, 16, 16), {"mel_windows": torch.zeros(1, 80, 16), "num_inference_steps": 2}

    def sample(pipe):
        return pipe(frames, generator=torch.Generator().manual_seed(7), output_type="pt", **call).frames

    base, tuned = untrained_pipeline(16), untrained_pipeline(16)
    add_lora(tuned.unet, LoraSettings(target_modules=("to_q", "to_out.0", "conv1")), seed=0)
    torch.testing.assert_close(sample(tuned), sample(base), rtol=1e-4, atol=1e-5)
    changed(tuned.unet)
    save_lora(tuned.unet, tmp_path / "lora")
    assert [file.name for file in (tmp_path / "lora").iterdir()] == ["pytorch_lora_weights.safetensors"]
    before = sample(base)
    base.load_lora_weights(tmp_path / "lora")
    torch.testing.assert_close(sample(base), sample(tuned), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(sample(base), before, atol=1e-3)


def test_only_the_adapter_learns_and_its_seed_decides_where_it_begins():
    unets = [untrained_pipeline(16).unet for _ in range(3)]
    for unet, seed in zip(unets, (0, 0, 1), strict=True):
        add_lora(unet, LoraSettings(), seed)
    weights = [torch.cat([weight.flatten() for weight in unet.parameters() if weight.requires_grad]) for unet in unets]
    assert all("lora" in name for name, weight in unets[0].named_parameters() if weight.requires_grad)
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_an_adapter_of_the_released_model_weighs_less_than_a_megabyte(tmp_path):
    with torch.device("meta"):
        unet = Diff2LipUNet2DConditionModel()
        add_lora(unet, LoraSettings(), seed=0)
    adapter = {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}
    assert 4 * sum(weight.numel() for weight in adapter.values()) < 0.9e6
    tuned = untrained_pipeline(16).unet
    add_lora(tuned, LoraSettings(), seed=0)
    save_lora(tuned, tmp_path / "lora")
    saved = load_file(tmp_path / "lora" / "pytorch_lora_weights.safetensors")
    assert sum(weight.numel() for weight in saved.values()) == sum(
        weight.numel() for weight in tuned.parameters() if weight.requires_grad
    )


def test_unknown_layers_and_a_missing_peft_are_one_line(monkeypatch):
    unet = untrained_pipeline(16).unet
    with pytest.raises(ValueError, match="`lora.target_modules` is to_nowhere: ") as caught:
        add_lora(unet, LoraSettings(target_modules=("to_nowhere",)), seed=0)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(Diff2LipError, match="needs PEFT, which is not installed"):
        add_lora(unet, LoraSettings(), seed=0)
