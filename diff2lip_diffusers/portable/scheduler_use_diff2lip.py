"""What a pipeline needs to know of a scheduler: whether it fits the model, and which arguments it takes."""

import inspect
from typing import Any

import torch

# Their steps need other arguments, or sample another way: with this model they end in noise.
UNFIT_SCHEDULERS = (
    "CogVideoXDDIMScheduler",
    "CogVideoXDPMScheduler",
    "DDIMInverseScheduler",
    "DPMSolverMultistepInverseScheduler",
    "KDPM2AncestralDiscreteScheduler",
)


def check_scheduler(scheduler: Any) -> None:
    """Raises ValueError if a scheduler cannot sample the model."""
    name = type(scheduler).__name__
    cure = "build one with from_config(pipe.scheduler.config), for example DPMSolverMultistepScheduler"
    if any(parent.__name__ in UNFIT_SCHEDULERS for parent in type(scheduler).__mro__):
        raise ValueError(f"`scheduler` is a {name}, which gives noise with this model; {cure}")
    accepted = inspect.signature(type(scheduler).__init__).parameters
    if "beta_schedule" not in accepted or scheduler.config.get("prediction_type", "epsilon") != "epsilon":
        raise ValueError(f"`scheduler` is a {name} that does not denoise an epsilon-model; {cure}")
    wanted = ("model_output", "timestep", "sample")
    try:
        bound = inspect.signature(scheduler.step).bind(*wanted).arguments
    except TypeError:
        bound = {"timestep": None}
    if any(bound.get(argument, argument) != argument for argument in wanted):
        raise ValueError(
            f"`scheduler` is a {name}, whose `step` takes other arguments than {', '.join(wanted)}; {cure}"
        )


def schedule_arguments(
    scheduler: Any, num_inference_steps: int, timesteps: list[int] | None, sigmas: list[float] | None
) -> dict:
    """Returns the arguments of `set_timesteps`.

    Raises:
        ValueError: if timesteps and sigmas are given, or the scheduler does not take them.
    """
    given = {name: some for name, some in (("timesteps", timesteps), ("sigmas", sigmas)) if some is not None}
    if len(given) > 1:
        raise ValueError("`timesteps` and `sigmas` exclude each other; pass one of them")
    for name, some in given.items():
        if name not in inspect.signature(scheduler.set_timesteps).parameters:
            raise ValueError(f"`{name}` cannot be chosen with a {type(scheduler).__name__}; leave it out")
        if len(some) == 0:
            raise ValueError(f"`{name}` is empty, expected one for each step")
    return given or {"num_inference_steps": num_inference_steps}


def extra_step_kwargs(scheduler: Any, generators: list[torch.Generator], eta: float) -> dict:
    """Returns the extra arguments that `step` of this scheduler accepts.

    `use_clipped_model_output` recomputes the noise from the clipped prediction, as the original does.
    """
    accepted = inspect.signature(scheduler.step).parameters
    extra = {"eta": eta, "use_clipped_model_output": True, "generator": generators}
    return {name: value for name, value in extra.items() if name in accepted}


def learns_variance(scheduler: Any) -> bool:
    """Returns whether the scheduler uses all six channels of the prediction; only DDPM can."""
    accepted = inspect.signature(type(scheduler).__init__).parameters
    learned = scheduler.config.get("variance_type") in ("learned", "learned_range")
    return learned and "variance_type" in accepted
