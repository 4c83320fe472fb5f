"""The losses of training, against values worked out by hand and against diffusers' own schedulers."""

import math

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from helpers.recorded import make_pipeline

from diff2lip_diffusers.schedulers import original_scheduler
from diff2lip_diffusers.training import losses

TIMESTEPS = torch.tensor([0, 1, 40, 500, 999])


@pytest.fixture
def noisy():
    """Frames, noise, noisy frames and alpha-bar at `TIMESTEPS`."""
    generator = torch.Generator().manual_seed(0)
    frames, noise = torch.randn(2, 5, 3, 4, 4, generator=generator)
    frames = frames.clamp(-1, 1)
    alphas = original_scheduler().alphas_cumprod[TIMESTEPS]
    return frames, noise, original_scheduler().add_noise(frames, noise, TIMESTEPS), alphas


def test_the_painted_mask_is_the_pipelines():
    pipe = make_pipeline("tiny")
    assert torch.equal(losses.painted_mask(pipe.unet.config.sample_size).bool(), pipe.painted_mask())
    assert losses.painted_mask(5, 0.5)[0, 0, :, 0].tolist() == [0, 0, 1, 1, 1]
    assert losses.painted_mask(10, 0.3)[0, 0, :, 0].tolist() == [0] * 7 + [1] * 3


def test_mouth_weight_is_one_far_from_the_mouth_and_zero_outside_of_the_painted_part():
    mask = losses.painted_mask(100)
    weight = losses.mouth_weight(mask, 3.0)
    assert torch.equal(losses.mouth_weight(mask, 0.0), mask)
    assert not weight[:, :, :50].any()
    assert weight[0, 0, 73, 49].item() == pytest.approx(1 + 3, rel=1e-2)
    # One sigma beside the middle a Gaussian has fallen to exp(-1/2).
    assert weight[0, 0, 73, 49 + 16].item() == pytest.approx(1 + 3 * math.exp(-0.5), rel=3e-2)
    assert weight[0, 0, 99, 0].item() == pytest.approx(1, abs=1e-2)


def test_epsilon_and_x0_loss_by_hand():
    predicted, truth = torch.zeros(2, 2, 2, 1), torch.tensor([[[[9.0], [1.0]], [[9.0], [3.0]]], [[[9.0], [0]]] * 2])
    weight = torch.tensor([[[[0.0], [1.0]]]])
    # Only the second row counts: (1 + 9) / 2 over the channels.
    for loss in (losses.epsilon_loss, losses.x0_loss):
        assert loss(predicted, truth, weight).tolist() == [5.0, 0.0]
    # (1 * 81 + 3 * 5) / 4
    assert losses.x0_loss(predicted, truth, torch.tensor([[[[1.0], [3.0]]]])).tolist() == [24.0, 81 / 4]


def test_predicted_x0_is_that_of_diffusers(noisy):
    frames, noise, noised, alphas = noisy
    torch.testing.assert_close(losses.predicted_x0(noised[1:4], noise[1:4], alphas[1:4]), frames[1:4])
    scheduler = DDIMScheduler.from_config(original_scheduler().config, clip_sample=False)
    scheduler.set_timesteps(1000)
    epsilon = noise + 0.1
    ours = losses.predicted_x0(noised, epsilon, alphas)
    for index, timestep in enumerate(TIMESTEPS.tolist()):
        theirs = scheduler.step(epsilon[index], timestep, noised[index]).pred_original_sample
        torch.testing.assert_close(ours[index], theirs, rtol=1e-5, atol=1e-5)


def test_x0_timestep_weight_by_hand():
    alphas = torch.tensor([0.5, 0.2, 1 / 101])
    assert losses.x0_timestep_weight(alphas, 10.0).tolist() == pytest.approx([1.0, 1.0, 0.1])
    assert losses.x0_timestep_weight(alphas, 0.4).tolist() == pytest.approx([0.4, 0.1, 0.004])


def test_posterior_is_that_of_diffusers(noisy):
    frames, _, noised, _ = noisy
    betas = original_scheduler().betas
    scheduler = DDPMScheduler.from_config(original_scheduler().config, variance_type="fixed_small", clip_sample=False)
    scheduler = DDPMScheduler.from_config(scheduler.config, prediction_type="sample")
    ours = losses.posterior_variances(betas)
    assert ours[0] == ours[1]
    means = losses.posterior_mean(frames, noised, TIMESTEPS, betas)
    for index, timestep in enumerate(TIMESTEPS.tolist()):
        if timestep:
            torch.testing.assert_close(ours[timestep], scheduler._get_variance(timestep), rtol=1e-4, atol=0)
        generator = torch.Generator().manual_seed(1)
        theirs = scheduler.step(frames[index], timestep, noised[index], generator=generator).prev_sample
        drawn = torch.randn(frames[index].shape, generator=torch.Generator().manual_seed(1))
        deviation = scheduler._get_variance(timestep).sqrt() * drawn if timestep else 0
        torch.testing.assert_close(means[index], theirs - deviation, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("timestep", [1, 40, 999])
def test_variance_loss_is_the_divergence_of_diffusers_learned_range(noisy, timestep):
    frames, noise, _, _ = noisy
    timesteps = torch.full((5,), timestep)
    betas = original_scheduler().betas
    noised = original_scheduler().add_noise(frames, noise, timesteps)
    generator = torch.Generator().manual_seed(2)
    variance, epsilon = torch.rand(noise.shape, generator=generator) * 2 - 1, noise + 0.05

    scheduler = DDPMScheduler.from_config(original_scheduler().config, variance_type="learned_range")
    log_variance = scheduler._get_variance(timestep, predicted_variance=variance)
    small = DDPMScheduler.from_config(scheduler.config, variance_type="fixed_small")._get_variance(timestep)
    x0 = losses.predicted_x0(noised, epsilon, scheduler.alphas_cumprod[timesteps]).clamp(-1, 1)
    means = [losses.posterior_mean(picture, noised, timesteps, betas) for picture in (frames, x0)]
    true, predicted = (
        torch.distributions.Normal(mean, deviation)
        for mean, deviation in zip(means, (small.sqrt(), (log_variance / 2).exp()), strict=True)
    )
    divergence = torch.distributions.kl_divergence(true, predicted).mean(dim=(1, 2, 3))

    mask = torch.ones(1, 1, 4, 4)
    ours = losses.variance_loss(frames, noised, epsilon, variance, timesteps, betas, mask)
    torch.testing.assert_close(ours, 1000 * divergence / math.log(2), rtol=1e-3, atol=1e-4)


def test_variance_loss_at_the_last_step_is_the_likelihood_of_the_8_bit_values():
    # A certain prediction of the right value costs nothing; at the largest variance the bin's share counts.
    betas = original_scheduler().betas
    frames, noise = torch.full((1, 3, 2, 2), 51 / 127.5 - 1), torch.zeros(1, 3, 2, 2)
    alphas = original_scheduler().alphas_cumprod[:1]
    noised = frames * alphas.sqrt()
    largest = torch.ones_like(frames)
    mask, first = torch.ones(1, 1, 2, 2), torch.zeros(1, dtype=torch.long)
    ours = losses.variance_loss(frames, noised, noise, largest, first, betas, mask)
    share = math.erf(1 / 255 / betas[0].sqrt().item() / math.sqrt(2))
    assert ours.item() == pytest.approx(-1000 * math.log2(share), rel=1e-3)


def test_only_the_variance_learns_from_its_loss(noisy):
    frames, noise, noised, _ = noisy
    epsilon, variance = noise.clone().requires_grad_(), torch.zeros_like(noise, requires_grad=True)
    betas = original_scheduler().betas
    losses.variance_loss(frames, noised, epsilon, variance, TIMESTEPS, betas, torch.ones(1, 1, 4, 4)).sum().backward()
    assert epsilon.grad is None
    assert variance.grad.isfinite().all() and variance.grad.any()


def test_syncnet_loss_is_binary_cross_entropy():
    similarity = torch.tensor([1.0, 0.5, 0.1])
    expected = torch.nn.functional.binary_cross_entropy(similarity, torch.ones(3), reduction="none")
    torch.testing.assert_close(losses.syncnet_loss(similarity), expected)
    assert losses.syncnet_loss(torch.tensor([0.5])).item() == pytest.approx(math.log(2))
    assert losses.syncnet_loss(torch.tensor([-0.3, 1.0001])).tolist() == pytest.approx([-math.log(1e-4), 0])


def test_adversarial_losses_by_hand():
    true, painted = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.5, 2.0]]]])
    # ((0 + 1) + (0.25 + 4)) / 2 patches / 2
    assert losses.discriminator_loss(true, painted).tolist() == [5.25 / 4]
    assert losses.generator_adversarial_loss(painted).tolist() == [(0.25 + 1) / 2]


def test_lpips_loss_compares_clipped_pictures_one_by_one():
    predicted, frames = torch.full((2, 3, 2, 2), 3.0), torch.zeros(2, 3, 2, 2)

    def distance(pictures, others):
        return (pictures - others).sum(dim=(1, 2, 3), keepdim=True)

    assert losses.lpips_loss(distance, predicted, frames).tolist() == [12.0, 12.0]
