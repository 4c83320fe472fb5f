"""Noise for training: where timesteps are drawn, and what the U-Net gets to see."""

import pytest
import torch

from diff2lip_diffusers.schedulers import original_scheduler
from diff2lip_diffusers.training.diffusion import Diffusion
from diff2lip_diffusers.training.timestep_bias import timestep_probabilities


def samples(count: int, frames: int, size: int = 8) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise, fill, reference = torch.randn(3, count, 3, size, size, generator=generator)
    return {
        "frames": torch.rand(count, frames, 3, size, size, generator=generator) * 2 - 1,
        "reference": reference,
        "mel_windows": torch.randn(count, frames, 80, 16, generator=generator),
        "noise": noise,
        "fill": fill,
        "draw": torch.rand(count, dtype=torch.float64, generator=generator),
        "audio_draw": torch.rand(count, dtype=torch.float64, generator=generator),
    }


def test_timesteps_have_the_documented_density():
    draws = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    uniform = torch.bincount(Diffusion().timesteps(draws), minlength=1000)
    assert uniform.tolist() == [100] * 1000
    drawn = Diffusion(strategy="range", multiplier=4.0, begin=400, end=900).timesteps(draws)
    counts = torch.bincount(drawn, minlength=1000)
    # 500 timesteps with weight 1 and 500 with weight 4.
    assert (counts[:400] - 40).abs().max() <= 1 and (counts[400:900] - 160).abs().max() <= 1
    only = Diffusion(strategy="range", multiplier=1e12, begin=10, end=11).timesteps(draws)
    assert (only == 10).float().mean() > 0.999


@pytest.mark.parametrize(("strategy", "biased"), [("earlier", slice(0, 250)), ("later", slice(750, 1000))])
def test_a_portion_of_the_timesteps_is_drawn_more_often(strategy, biased):
    probabilities = timestep_probabilities(1000, strategy, multiplier=3.0, portion=0.25)
    expected = torch.ones(1000, dtype=torch.float64)
    expected[biased] = 3
    torch.testing.assert_close(probabilities, expected / 1500)


def test_noise_is_added_as_the_scheduler_adds_it():
    given = samples(2, 3)
    batch = Diffusion().noisy_batch(given)
    expected = original_scheduler().add_noise(batch.frames, batch.noise, batch.timesteps)
    torch.testing.assert_close(batch.noisy, expected)
    torch.testing.assert_close(batch.x0(batch.noise), batch.frames, rtol=1e-2, atol=1e-2)
    assert torch.equal(batch.frames.unflatten(0, (2, 3)), given["frames"])
    assert torch.equal(batch.mel_windows.unflatten(0, (2, 3)), given["mel_windows"])


def test_frames_of_a_sample_share_what_frames_of_a_video_share():
    batch = Diffusion().noisy_batch(samples(2, 3))
    for shared in (batch.timesteps, batch.noise, batch.references):
        first, second = shared.unflatten(0, (2, 3))
        assert all(torch.equal(one, first[0]) for one in first)
        assert not torch.equal(first[0], second[0])


def test_what_fills_the_masked_part_says_nothing_about_the_noise():
    given = samples(4, 2, size=32)
    batch = Diffusion().noisy_batch(given)
    painted = batch.mask.bool().expand_as(batch.frames)
    assert torch.equal(batch.masked_frames[~painted], batch.frames[~painted])
    fill, noise, frames = (tensor[painted] for tensor in (batch.masked_frames, batch.noise, batch.frames))
    for other in (noise, frames):
        assert abs(torch.corrcoef(torch.stack([fill, other]))[0, 1]) < 0.05


def test_painted_pictures_are_true_outside_of_the_mask():
    batch = Diffusion().noisy_batch(samples(1, 1))
    painted = batch.painted(torch.full_like(batch.frames, 3.0))
    assert torch.equal(painted[:, :, :4], batch.frames[:, :, :4])
    assert (painted[:, :, 4:] == 1).all()
