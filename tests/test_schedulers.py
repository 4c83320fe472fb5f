"""Schedulers by name."""

import pytest
from diffusers import DPMSolverMultistepScheduler

from diff2lip_diffusers.schedulers import SCHEDULERS, make_scheduler, original_scheduler, with_options


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


def test_names_replace_the_sigmas_of_a_models_own_scheduler():
    own = make_scheduler("euler", original_scheduler().config)
    assert own.config.use_karras_sigmas
    again = make_scheduler("unipc", own.config)
    assert again.config.use_exponential_sigmas and not again.config.use_karras_sigmas
    again.set_timesteps(4)


def test_options_replace_the_settings_of_a_name():
    config = original_scheduler().config
    changed = make_scheduler("dpmsolver++", config, use_karras_sigmas=True, solver_order=3)
    expected = DPMSolverMultistepScheduler.from_config(config, use_karras_sigmas=True, solver_order=3)
    for scheduler in (changed, expected):
        scheduler.set_timesteps(8)
    assert changed.sigmas.tolist() == expected.sigmas.tolist()
    assert with_options(original_scheduler(), {"timestep_spacing": "trailing"}).config.timestep_spacing == "trailing"
    own = original_scheduler()
    assert with_options(own, {}) is own


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"karras": True}, "a DPMSolverMultistepScheduler has no option `karras`, known are .*use_karras_sigmas"),
        ({"beta_end": 0.1}, "`beta_end` is fixed by the training of the model"),
        ({"use_karras_sigmas": "yes"}, "`use_karras_sigmas` is 'yes', expected true or false"),
        ({"solver_order": "two"}, "`solver_order` is 'two', expected a number"),
        ({"solver_order": True}, "`solver_order` is True, expected a number"),
        ({"timestep_spacing": 3}, "`timestep_spacing` is 3, expected a word"),
        ({"timestep_spacing": "wide"}, "does not work with timestep_spacing=wide: "),
        ({"algorithm_type": "magic"}, "does not work with algorithm_type=magic: "),
        ({"use_karras_sigmas": True, "use_beta_sigmas": True}, "does not work with use_karras_sigmas=True, use_beta"),
    ],
)
def test_a_bad_option_is_one_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_scheduler("dpmsolver++", original_scheduler().config, **options)
    assert "\n" not in str(caught.value)
