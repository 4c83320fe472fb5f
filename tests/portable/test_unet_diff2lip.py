"""The U-Net: recorded outputs, and the methods that models of diffusers have."""

import copy

import pytest
import torch
from diffusers import DiffusionPipeline
from helpers.recorded import DATA, make_pipeline
from safetensors.torch import load_file

from diff2lip_diffusers import Diff2LipUNet2DConditionModel


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return ((actual - expected).norm() / expected.norm()).item()


def forward(unet, recorded):
    return unet(
        recorded["sample"],
        recorded["timesteps"],
        recorded["cond_img"],
        recorded["ref_img"],
        recorded["mask"],
        recorded["audio_style"],
    ).sample


@pytest.fixture(scope="module")
def recorded():
    return load_file(DATA / "tiny_forward.safetensors")


@pytest.fixture
def unet(tiny_components):
    return copy.deepcopy(tiny_components[0])


@torch.no_grad()
def test_matches_the_recorded_output(unet, recorded):
    assert relative_error(forward(unet, recorded), recorded["model_output"]) < 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_released_size_matches_the_recorded_output():
    recorded = load_file(DATA / "released_forward.safetensors")
    pipe = make_pipeline("released")
    assert relative_error(pipe.audio_encoder(recorded["indiv_mels"]), recorded["audio_style"]) < 1e-5
    assert relative_error(forward(pipe.unet, recorded), recorded["model_output"]) < 1e-5


@torch.no_grad()
def test_sample_under_the_mask_decides_alone(unet, recorded):
    changed = torch.where(recorded["mask"] > 0, recorded["sample"], torch.full((), 9.0))
    assert torch.equal(forward(unet, recorded | {"sample": changed}), forward(unet, recorded))


@torch.no_grad()
@pytest.mark.parametrize("timestep", [40, 40.0, torch.tensor(40), torch.tensor([40]), torch.tensor([40, 40])])
def test_any_form_of_timestep(unet, recorded, timestep):
    expected = forward(unet, recorded | {"timesteps": torch.tensor([40, 40])})
    assert relative_error(forward(unet, recorded | {"timesteps": timestep}), expected) < 1e-6


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)])
def test_half_precision_stays_close(unet, recorded, dtype, tolerance):
    quarter = {name: tensor[:1, ..., :32, 16:48] for name, tensor in recorded.items() if tensor.ndim == 4}
    recorded = quarter | {name: recorded[name][:1] for name in ("timesteps", "audio_style")}
    expected = forward(unet, recorded)
    half = unet.bfloat16() if dtype == torch.bfloat16 else unet.half()
    output = forward(half, recorded)
    assert output.dtype == torch.float32
    assert relative_error(output, expected) < tolerance


@torch.no_grad()
def test_last_layers_compute_in_float32(small_pipe):
    seen = {}
    unet = small_pipe.unet.half()
    for name in ("conv_norm_out", "conv_out"):
        getattr(unet, name).register_forward_hook(lambda m, i, o, name=name: seen.update({name: o.dtype}))
    images = torch.zeros(1, 3, 16, 16, dtype=torch.float16)
    output = unet(images, 500, images, images, images[:, :1], torch.zeros(1, 128)).sample
    assert output.dtype == torch.float16
    assert seen == {"conv_norm_out": torch.float32, "conv_out": torch.float32}


def test_loading_in_half_precision_keeps_the_last_layers(unet, tmp_path):
    unet.save_pretrained(tmp_path)
    half = Diff2LipUNet2DConditionModel.from_pretrained(tmp_path, dtype=torch.float16)
    assert {name for name, p in half.named_parameters() if p.dtype == torch.float32} == {
        f"{layer}.{kind}" for layer in ("conv_norm_out", "conv_out") for kind in ("weight", "bias")
    }


@torch.no_grad()
def test_save_and_load(unet, recorded, tmp_path):
    unet.save_pretrained(tmp_path)
    again = Diff2LipUNet2DConditionModel.from_pretrained(tmp_path)
    assert dict(again.config)["block_out_channels"] == [32, 64, 96, 128]
    assert relative_error(forward(again, recorded), forward(unet, recorded)) < 1e-5


@torch.no_grad()
def test_fused_projections_and_other_processors_compute_the_same(unet, recorded):
    from diffusers.models.attention_processor import AttnProcessor

    unet.fuse_qkv_projections()
    assert relative_error(forward(unet, recorded), recorded["model_output"]) < 1e-5
    unet.unfuse_qkv_projections()
    unet.set_attn_processor(AttnProcessor())
    assert all(isinstance(processor, AttnProcessor) for processor in unet.attn_processors.values())
    assert relative_error(forward(unet, recorded), recorded["model_output"]) < 1e-5


def test_lora_starts_at_the_model_and_trains_only_the_adapter(unet, recorded, tmp_path):
    peft = pytest.importorskip("peft")
    unet.requires_grad_(False)
    unet.add_adapter(peft.LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    output = forward(unet, recorded)
    assert relative_error(output.detach(), recorded["model_output"]) < 1e-5
    output.square().mean().backward()
    trained = {name for name, parameter in unet.named_parameters() if parameter.grad is not None}
    assert trained and all("lora" in name for name in trained)
    unet.save_lora_adapter(tmp_path)
    assert any(tmp_path.iterdir())


def test_gradient_checkpointing_gives_the_same_gradients(unet, recorded):
    def gradients():
        unet.zero_grad()
        forward(unet, recorded).square().mean().backward()
        return torch.cat([parameter.grad.flatten() for parameter in unet.parameters()])

    unet.train()
    expected = gradients()
    unet.enable_gradient_checkpointing()
    assert unet.is_gradient_checkpointing
    assert relative_error(gradients(), expected) < 1e-5


@torch.no_grad()
def test_compiles_as_one_graph(small_pipe):
    torch._dynamo.reset()
    inputs = (*torch.randn(3, 2, 3, 16, 16), torch.ones(1, 1, 16, 16), torch.randn(2, 128))
    sample, *conditions = inputs
    compiled = torch.compile(small_pipe.unet, fullgraph=True, backend="eager")
    expected = small_pipe.unet(sample, torch.tensor(40), *conditions).sample
    assert relative_error(compiled(sample, torch.tensor(40), *conditions).sample, expected) < 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_compiles_with_the_default_backend(unet, recorded):
    torch._dynamo.reset()
    assert relative_error(forward(torch.compile(unet, fullgraph=True), recorded), recorded["model_output"]) < 1e-4


@torch.no_grad()
def test_channels_last_computes_the_same(unet, recorded):
    unet.to(memory_format=torch.channels_last)
    assert relative_error(forward(unet, recorded), recorded["model_output"]) < 1e-5


@torch.no_grad()
def test_other_image_sizes_pass(unet, recorded):
    small = {name: recorded[name][..., :32, :48] for name in ("sample", "cond_img", "ref_img", "mask")}
    assert forward(unet, recorded | small).shape == (2, 6, 32, 48)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"down_block_types": ("DownBlock2D",) * 5}, "`down_block_types` has 'DownBlock2D'"),
        ({"down_block_types": ("AttnDownBlock2D",) * 3}, "has 3 levels, `block_out_channels` 5"),
    ],
)
def test_wrong_configurations_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        Diff2LipUNet2DConditionModel(**config)


@torch.no_grad()
def test_within_autocast_the_last_convolution_stays_in_float32(unet, recorded):
    seen = []
    unet.conv_out.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        forward(unet, recorded)
    assert seen == [torch.float32]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weights_load_without_accelerates_way(tiny_components, dtype, tmp_path):
    """The library accelerate may be missing: then diffusers loads with `low_cpu_mem_usage=False`."""
    tiny_components[0].save_pretrained(tmp_path)
    usual = Diff2LipUNet2DConditionModel.from_pretrained(tmp_path, dtype=dtype)
    other = Diff2LipUNet2DConditionModel.from_pretrained(tmp_path, dtype=dtype, low_cpu_mem_usage=False)
    assert type(other) is Diff2LipUNet2DConditionModel and dict(other.config) == dict(usual.config)
    assert not other.training
    for (name, tensor), (_, expected) in zip(other.named_parameters(), usual.named_parameters(), strict=True):
        assert tensor.dtype == expected.dtype and torch.equal(tensor, expected), name


def test_a_whole_pipeline_loads_without_accelerates_way(small_pipe, tmp_path):
    small_pipe.save_pretrained(tmp_path)
    loaded = DiffusionPipeline.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(loaded.unet.conv_out.weight, small_pipe.unet.conv_out.weight)
