"""Generators in equal states share an image: the noise, and what they draw next, are those of diffusers."""

import pytest
import torch
from diffusers.utils.torch_utils import randn_tensor

from diff2lip_diffusers.portable.noise_diff2lip import drawn_noise

CPU = torch.device("cpu")


@pytest.mark.parametrize("seeds", [(5,), (5, 5), (5, 5, 5, 5), (5, 6, 5), (6, 5, 5)])
def test_noise_is_that_of_diffusers(seeds):
    ours, theirs = ([torch.Generator().manual_seed(seed) for seed in seeds] for _ in range(2))
    shape = (len(seeds), 3, 8, 8)
    expected = randn_tensor(shape, theirs, CPU, torch.float32)
    assert torch.equal(drawn_noise(shape, ours, CPU).expand(shape), expected)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(torch.randn(7, generator=one), torch.randn(7, generator=other))


def test_generators_that_have_drawn_before_are_not_taken_for_new_ones():
    ours, theirs = ([torch.Generator().manual_seed(5) for _ in range(3)] for _ in range(2))
    for generators in (ours, theirs):
        torch.randn(4, generator=generators[1])
    expected = randn_tensor((3, 3, 8, 8), theirs, CPU, torch.float32)
    assert torch.equal(drawn_noise((3, 3, 8, 8), ours, CPU), expected)
