"""Training begins with the sample itself as the predicted noise."""

import pytest
import torch

from diff2lip_diffusers.portable.unet_diff2lip import Diff2LipUNet2DConditionModel
from diff2lip_diffusers.training.first_weights import begin_with_copy


def make_unet(channels: int, groups: int) -> Diff2LipUNet2DConditionModel:
    torch.manual_seed(0)
    return Diff2LipUNet2DConditionModel(
        sample_size=16,
        block_out_channels=(channels, 2 * channels),
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        layers_per_block=1,
        attention_head_dim=8,
        norm_num_groups=groups,
    )


def predict(unet, sample, mask):
    generator = torch.Generator().manual_seed(1)
    frames, references = (torch.rand(sample.shape, generator=generator) * 2 - 1 for _ in range(2))
    embeds = torch.randn(len(sample), unet.config.time_embedding_dim, generator=generator)
    with torch.no_grad():
        return unet(sample, torch.tensor([999, 300]), frames, references, mask, embeds).sample


@pytest.mark.parametrize(("channels", "groups"), [(24, 4), (24, 6), (128, 32), (32, 4)])
def test_predicts_the_sample_and_no_variance(channels, groups):
    unet = make_unet(channels, groups)
    begin_with_copy(unet)
    sample = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    mask = (torch.arange(16) >= 8).float()[None, None, :, None].expand(1, 1, 16, 16)
    output = predict(unet, sample, mask)
    sample, output = sample[:, :, 8:], output[:, :, 8:]
    torch.testing.assert_close(output[:, :3], sample, rtol=0.02, atol=1e-4)
    assert not output[:, 3:].any()


def test_learns_from_there():
    unet = make_unet(24, 4)
    begin_with_copy(unet)
    generator = torch.Generator().manual_seed(3)
    sample, frames, references, embeds = (
        torch.randn(2, 3, 16, 16, generator=generator),
        torch.rand(2, 3, 16, 16, generator=generator),
        torch.rand(2, 3, 16, 16, generator=generator),
        torch.randn(2, 96, generator=generator),
    )
    output = unet(sample, 500, frames, references, torch.ones(1, 1, 16, 16), embeds).sample
    (output - 1).square().mean().backward()
    last = unet.up_blocks[-1].resnets[-1]
    learning = unet.conv_out.weight.grad.abs().amax(dim=(0, 2, 3)) + last.conv2.weight.grad.abs().amax(dim=(1, 2, 3))
    assert learning.all()


@pytest.mark.parametrize(("channels", "groups"), [(32, 32), (64, 32), (24, 8), (8, 2)])
def test_predicts_nothing_where_there_is_no_room(channels, groups):
    unet = make_unet(channels, groups)
    begin_with_copy(unet)
    sample = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    output = predict(unet, sample, torch.ones(1, 1, 16, 16))
    assert not output.any()
