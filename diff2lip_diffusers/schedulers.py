"""Schedulers by short name, each configured for the noise schedule of the model."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
from diffusers import DDIMScheduler, SchedulerMixin


@dataclass(frozen=True)
class NamedScheduler:
    """What a name on the command line stands for.

    Attributes:
        class_name: in diffusers.
        steps: as many as are enough for the shipped weights; see docs/performance.md.
        settings: replace those of the model's own scheduler; best of all on the shipped weights.
        adds_noise: whether each step adds noise, so that no two seeds or numbers of steps give the same frames.
    """

    class_name: str
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    adds_noise: bool = False


# `benchmarks/schedulers.py` compares them.
SCHEDULERS = {
    "ddim": NamedScheduler("DDIMScheduler", 25),
    "ddpm": NamedScheduler(
        "DDPMScheduler", 25, {"variance_type": "learned_range", "timestep_spacing": "linspace"}, adds_noise=True
    ),
    "dpmsolver++": NamedScheduler("DPMSolverMultistepScheduler", 8, {"use_lu_lambdas": True}),
    "dpmsolver++-single": NamedScheduler(
        "DPMSolverSinglestepScheduler", 8, {"lower_order_final": True, "use_exponential_sigmas": True}
    ),
    "unipc": NamedScheduler("UniPCMultistepScheduler", 8, {"use_exponential_sigmas": True}),
    "deis": NamedScheduler("DEISMultistepScheduler", 8, {"use_exponential_sigmas": True}),
    "euler": NamedScheduler("EulerDiscreteScheduler", 15, {"use_karras_sigmas": True}),
    "euler-ancestral": NamedScheduler("EulerAncestralDiscreteScheduler", 20, adds_noise=True),
    "heun": NamedScheduler("HeunDiscreteScheduler", 10, {"use_karras_sigmas": True}),
    "lms": NamedScheduler("LMSDiscreteScheduler", 15, {"use_karras_sigmas": True}),
    "pndm": NamedScheduler("PNDMScheduler", 15, {"skip_prk_steps": True}),
    "kdpm2": NamedScheduler("KDPM2DiscreteScheduler", 10, {"use_karras_sigmas": True}),
    "sasolver": NamedScheduler("SASolverScheduler", 20, adds_noise=True),
    "lcm": NamedScheduler("LCMScheduler", 8, adds_noise=True),
    "tcd": NamedScheduler("TCDScheduler", 8),
}
# Of these, a scheduler takes one at most.
SIGMA_KINDS = (
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
)
# What the model was trained with.
NOISE_OF_THE_MODEL = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
)


def original_scheduler() -> DDIMScheduler:
    """Returns the scheduler of the released model.

    Source: the original program, recorded in `tests/data/tiny_sampling.safetensors`.
    """
    return DDIMScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=True,
        set_alpha_to_one=True,
        steps_offset=0,
        timestep_spacing="leading",
    )


def make_scheduler(name: str, config: Mapping[str, Any], **options: Any) -> SchedulerMixin:
    """Returns the scheduler called `name`, with the noise schedule of another scheduler's `config`.

    Args:
        name: a key of `SCHEDULERS`.
        config: of the model's own scheduler.
        **options: replace the settings that the name stands for.

    Raises:
        ValueError: if the name is unknown, or the scheduler does not take an option.
    """
    if name not in SCHEDULERS:
        raise ValueError(f"`scheduler` is {name!r}, known are {', '.join(SCHEDULERS)}")
    named = SCHEDULERS[name]
    scheduler_class = getattr(diffusers, named.class_name)
    accepted = inspect.signature(scheduler_class.__init__).parameters
    plain = dict.fromkeys((kind for kind in SIGMA_KINDS if kind in accepted), False)
    return with_options(scheduler_class.from_config(config, **plain | dict(named.settings)), options)


def with_options(scheduler: Any, options: Mapping[str, Any]) -> SchedulerMixin:
    """Returns a scheduler of the same class with other settings.

    Raises:
        ValueError: if it has no such setting, if the value is of no use, or if the setting belongs to the model.
    """
    if not options:
        return scheduler
    accepted = inspect.signature(type(scheduler).__init__).parameters
    for name, value in options.items():
        _check_option(type(scheduler).__name__, accepted, name, value)
    # The caller's kind of sigmas takes the place of ours.
    chosen = any(options.get(kind) for kind in SIGMA_KINDS)
    plain = dict.fromkeys((kind for kind in SIGMA_KINDS if kind in accepted and chosen), False)
    try:
        changed = type(scheduler).from_config(scheduler.config, **plain | dict(options))
        changed.set_timesteps(8)
    except (ImportError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        shown = ", ".join(f"{name}={value}" for name, value in options.items())
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"a {type(scheduler).__name__} does not work with {shown}: {reason}") from error
    return type(scheduler).from_config(changed.config)


def _check_option(class_name: str, accepted: Mapping[str, inspect.Parameter], name: str, value: object) -> None:
    known = [known for known in accepted if known not in ("self", *NOISE_OF_THE_MODEL)]
    if name in NOISE_OF_THE_MODEL:
        raise ValueError(f"`{name}` is fixed by the training of the model; leave it out")
    if name not in known:
        raise ValueError(f"a {class_name} has no option `{name}`, known are {', '.join(known)}")
    default = accepted[name].default
    wanted = bool if isinstance(default, bool) else (int, float) if isinstance(default, (int, float)) else str
    is_right = isinstance(value, wanted) and isinstance(value, bool) == isinstance(default, bool)
    if default is not None and not is_right:
        expected = {bool: "true or false", str: "a word"}.get(wanted, "a number")  # pyright: ignore[reportArgumentType]
        raise ValueError(f"`{name}` is {value!r}, expected {expected}")
