"""Guidance for audio: off it changes nothing, on it is the formula, and no speech is what the model says it is."""

import copy

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, DiffusionPipeline
from diffusers.guiders.guider_utils import rescale_noise_cfg

from diff2lip_diffusers import Diff2LipPipeline

WINDOWS = torch.from_numpy(np.random.default_rng(1).uniform(-4, 4, (3, 80, 16)).astype(np.float32))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def frames() -> torch.Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def sample(pipe, frames, **call) -> torch.Tensor:
    arguments = {"mel_windows": WINDOWS, "num_inference_steps": 3, "generator": seeded(), "output_type": "pt"}
    return pipe(frames, **arguments | call).frames


def in_two_passes(pipe, frames, scale: float, rescale: float = 0.0) -> torch.Tensor:
    """The same by a plain loop, with one call of the U-Net for each pass and diffusers' own rescaling."""
    latents = torch.randn(1, 3, 16, 16, generator=seeded()).expand(3, -1, -1, -1)
    embeds = pipe.audio_encoder(WINDOWS)
    mask = torch.zeros(1, 1, 16, 16)
    mask[:, :, 8:] = 1
    masked, sample = torch.where(mask > 0, latents, 2 * frames - 1), latents
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(3)
    is_ddpm = isinstance(scheduler, DDPMScheduler)
    extra = {"generator": noise_of_steps()} if is_ddpm else {"use_clipped_model_output": True}
    for timestep in scheduler.timesteps:
        null, heard = (
            pipe.unet(sample, timestep, masked, 2 * frames - 1, mask, some).sample
            for some in (pipe.null_audio_embeds().expand(3, -1), embeds)
        )
        guided = null[:, :3] + scale * (heard[:, :3] - null[:, :3])
        # The upper half of a prediction means nothing.
        guided[:, :, 8:] = rescale_noise_cfg(guided[:, :, 8:], heard[:, :3, 8:], rescale)
        # The variance is that of the pass with the speech.
        output = torch.cat([guided, heard[:, 3:]], 1) if is_ddpm else guided
        sample = scheduler.step(output, timestep, sample, **extra).prev_sample
    return torch.where(mask > 0, (sample / 2 + 0.5).clamp(0, 1), frames)


def noise_of_steps() -> list[torch.Generator]:
    """One generator for each frame, as they are when the first noise image is drawn."""
    generators = [seeded() for _ in range(3)]
    for generator in generators:
        torch.randn(1, 3, 16, 16, generator=generator)
    return generators


@pytest.mark.parametrize("scale", [1, 1.0, 0, None])
def test_a_scale_not_above_one_is_off_to_the_bit(small_pipe, frames, scale):
    assert torch.equal(sample(small_pipe, frames, guidance_scale=scale), sample(small_pipe, frames))


@pytest.fixture
def exact_pipe(small_pipe):
    """With a U-Net in float64: rounding depends on the size of a batch, and random weights amplify it."""
    small_pipe.unet.double()
    small_pipe.unet.conv_norm_out.__class__, small_pipe.unet.conv_out.__class__ = torch.nn.GroupNorm, torch.nn.Conv2d
    return small_pipe


@pytest.mark.parametrize("rescale", [0.0, 0.7])
@torch.no_grad()
def test_a_guided_batch_equals_two_passes(exact_pipe, frames, rescale):
    small_pipe = exact_pipe
    guided = sample(small_pipe, frames, guidance_scale=2.5, guidance_rescale=rescale)
    expected = in_two_passes(small_pipe, frames, 2.5, rescale)
    torch.testing.assert_close(guided, expected, rtol=0, atol=1e-6)
    assert (guided - sample(small_pipe, frames))[:, :, 8:].abs().max() > 1e-2
    assert torch.equal(guided[:, :, :8], frames[:, :, :8])


@torch.no_grad()
def test_guidance_leaves_the_learned_variance_alone(exact_pipe, frames):
    small_pipe = exact_pipe
    settings = {"variance_type": "learned_range", "timestep_spacing": "linspace"}
    small_pipe.scheduler = DDPMScheduler.from_config(small_pipe.scheduler.config, **settings)
    guided = sample(small_pipe, frames, guidance_scale=2.5)
    torch.testing.assert_close(guided, in_two_passes(small_pipe, frames, 2.5), rtol=0, atol=1e-6)


def test_both_passes_are_one_call_of_the_unet(small_pipe, frames):
    sizes = []
    small_pipe.unet.register_forward_hook(lambda _, args, __: sizes.append(len(args[0])))
    sample(small_pipe, frames, guidance_scale=1.5, batch_size=2)
    assert sizes == [4] * 3 + [2] * 3


@torch.no_grad()
def test_no_speech_is_silence_unless_the_model_has_learned_what_it_is(small_pipe, frames, tmp_path):
    silence = small_pipe.feature_extractor(np.zeros(16000, np.float32), 16000).mel_windows[:1]
    torch.testing.assert_close(small_pipe.null_audio_embeds(), small_pipe.audio_encoder(silence))
    learned = torch.full((1, small_pipe.unet.config.time_embedding_dim), 0.5)
    small_pipe.audio_encoder.add_null_embeds(learned)
    assert torch.equal(small_pipe.null_audio_embeds(), learned)
    small_pipe.save_pretrained(tmp_path)
    again = DiffusionPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    assert torch.equal(again.audio_encoder.null_embeds, learned)
    torch.testing.assert_close(
        sample(again, frames, guidance_scale=2), sample(small_pipe, frames, guidance_scale=2), rtol=0, atol=1e-3
    )


def test_a_pipeline_may_have_a_scale_of_its_own(small_pipe, frames, tmp_path):
    pipe = Diff2LipPipeline(**small_pipe.components, default_guidance_scale=2.0)
    pipe.save_pretrained(tmp_path)
    assert DiffusionPipeline.from_pretrained(tmp_path).config["default_guidance_scale"] == 2.0
    pipe.set_progress_bar_config(disable=True)
    assert torch.equal(sample(pipe, frames), sample(small_pipe, frames, guidance_scale=2))
    assert torch.equal(sample(pipe, frames, guidance_scale=1), sample(small_pipe, frames))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"guidance_scale": -1}, "`guidance_scale` is -1, expected a number, 0 or more"),
        ({"guidance_scale": float("nan")}, "`guidance_scale` is nan"),
        ({"guidance_scale": "2"}, "`guidance_scale` is '2'"),
        ({"guidance_rescale": 2}, r"`guidance_rescale` is 2, expected a number in \[0, 1\]"),
    ],
)
def test_bad_guidance_is_named(small_pipe, frames, call, message):
    with pytest.raises(ValueError, match=message):
        sample(small_pipe, frames, **call)
