"""Schedulers by name."""

import pytest

from diff2lip_diffusers.schedulers import SCHEDULERS, make_scheduler, original_scheduler


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_name_keeps_the_noise_schedule(name):
    original = original_scheduler()
    scheduler = make_scheduler(name, original.config)
    assert type(scheduler).__name__ == SCHEDULERS[name].class_name
    assert scheduler.alphas_cumprod.tolist() == pytest.approx(original.alphas_cumprod.tolist())


def test_ddpm_uses_the_learned_variance():
    assert make_scheduler("ddpm", original_scheduler().config).config.variance_type == "learned_range"


def test_original_takes_25_steps_from_960():
    scheduler = original_scheduler()
    scheduler.set_timesteps(25)
    assert scheduler.timesteps.tolist() == list(range(960, -1, -40))


def test_unknown_name_is_named():
    with pytest.raises(ValueError, match="`scheduler` is 'dpm', known are ddim"):
        make_scheduler("dpm", original_scheduler().config)
