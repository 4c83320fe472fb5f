"""Schedulers by short name, each configured for the noise schedule of the model."""

import diffusers
from diffusers import DDIMScheduler, SchedulerMixin

# Name on the command line: class in diffusers, and settings that replace those of the model's own scheduler.
SCHEDULERS = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {"variance_type": "learned_range", "timestep_spacing": "linspace"}),
    "dpmsolver++": ("DPMSolverMultistepScheduler", {}),
    "dpmsolver++-single": ("DPMSolverSinglestepScheduler", {"lower_order_final": True}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "deis": ("DEISMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "kdpm2": ("KDPM2DiscreteScheduler", {}),
    "sasolver": ("SASolverScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "tcd": ("TCDScheduler", {}),
}


def original_scheduler() -> DDIMScheduler:
    """Returns the scheduler of the released model. Source: SPEC "Diffusion"."""
    return DDIMScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=True,
        set_alpha_to_one=True,
        steps_offset=0,
        timestep_spacing="leading",
    )


def make_scheduler(name: str, config: dict) -> SchedulerMixin:
    """Returns the scheduler called `name`, with the noise schedule of another scheduler's `config`.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in SCHEDULERS:
        raise ValueError(f"`scheduler` is {name!r}, known are {', '.join(SCHEDULERS)}")
    class_name, extra = SCHEDULERS[name]
    return getattr(diffusers, class_name).from_config(config, **extra)
