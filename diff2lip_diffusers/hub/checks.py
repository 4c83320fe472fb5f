"""Checks of a loaded pipeline: its weights are numbers, and its settings, which somebody may have edited, work."""

import copy
import inspect
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import CheckpointError, Diff2LipError
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..portable.scheduler_use_diff2lip import check_scheduler, extra_step_kwargs, learns_variance
from .files import reason_of

MAX_SAMPLE_PX, MAX_WINDOW_STEPS, MAX_SETTING, TRIAL_SAMPLES = 4096, 1000, 10**6, 16000
# Configurations of a pipeline and its parts, by file name.
CONFIG_NAMES = ("model_index.json", "config.json", "scheduler_config.json", "preprocessor_config.json")


def check_config_files(folder: str | Path) -> None:
    """Makes sure that the configurations in a model folder are JSON objects.

    In place of an object, diffusers would take a text or a number for the name of a repository and ask the Hub for it.

    Raises:
        Diff2LipError: if one is not.
    """
    for path in sorted(
        path for name in CONFIG_NAMES for path in [*Path(folder).glob(name), *Path(folder).glob(f"*/{name}")]
    ):
        try:
            settings = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise Diff2LipError(f"{path}: cannot be read as settings: {reason_of(error)}; copy it again") from error
        if not isinstance(settings, dict):
            raise Diff2LipError(f"{path}: holds {settings!r:.40}, expected settings by name; copy it again")


def check_finite(pipe: Diff2LipPipeline, source: str | Path, where: str = "") -> None:
    """Raises CheckpointError if a weight is infinite or no number: all frames would be black."""
    for component in (pipe.unet, pipe.audio_encoder):
        for name, tensor in component.state_dict().items():
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                cure = where or "; it was damaged, or its training diverged: take an earlier one"
                raise CheckpointError(f"{source}: {name} has values that are not finite{cure}")


def check_settings(pipe: Diff2LipPipeline, model: str | Path) -> None:
    """Raises Diff2LipError if the settings, which somebody may have edited, cannot work.

    Those of the networks fit the weights if these could be loaded; the other parts are tried.
    """
    unet, extractor = pipe.unet.config, pipe.feature_extractor
    size, divisor = unet["sample_size"], 2 ** (len(unet["block_out_channels"]) - 1)
    if not isinstance(size, int) or not 8 <= size <= MAX_SAMPLE_PX or size % divisor:
        raise Diff2LipError(f"{model}: `sample_size` is {size}, expected a multiple of {divisor} from 8 on")
    # A negative number divides the channels, too.
    divisors = (unet, "norm_num_groups"), (unet, "attention_head_dim"), (pipe.audio_encoder.config, "norm_num_groups")
    for part, name in divisors:
        if not isinstance(part[name], int) or part[name] < 1:
            raise Diff2LipError(f"{model}: `{name}` is {part[name]}, expected a whole number above 0")
    fraction = pipe.config["painted_fraction"]
    if not isinstance(fraction, (int, float)) or not 0 < fraction <= 1:
        raise Diff2LipError(f"{model}: `painted_fraction` is {fraction}, expected a number above 0, up to 1")
    steps = pipe.config["default_num_inference_steps"]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise Diff2LipError(f"{model}: `default_num_inference_steps` is {steps}, expected a whole number above 0")
    defaults = Diff2LipFeatureExtractor().to_dict()
    _check_kinds(model, defaults, {name: getattr(extractor, name, default) for name, default in defaults.items()})
    for component in (pipe.unet, pipe.audio_encoder, pipe.scheduler):
        parameters = inspect.signature(type(component).__init__).parameters.values()
        given = {each.name: each.default for each in parameters if isinstance(each.default, (int, float))}
        numbers = {name: default for name, default in given.items() if math.isfinite(default)}
        _check_kinds(model, numbers, component.config)
    if not 0 < extractor.window_size <= MAX_WINDOW_STEPS:
        raise Diff2LipError(f"{model}: `window_size` is {extractor.window_size}, expected 1 to {MAX_WINDOW_STEPS}")
    try:
        with warnings.catch_warnings():  # of filters without a frequency, of noise that is not finite
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            _try_out(pipe)
        _try_steps(copy.deepcopy(pipe.scheduler))
    except Exception as error:  # what a setting breaks cannot be known
        raise Diff2LipError(f"{model}: its settings cannot work: {reason_of(error)}") from error


@torch.no_grad()
def _try_out(pipe: Diff2LipPipeline) -> None:
    """Computes the speech of a frame, and a schedule."""
    extractor, encoder = pipe.feature_extractor, pipe.audio_encoder
    mel = extractor.mel_spectrogram(torch.zeros(TRIAL_SAMPLES), TRIAL_SAMPLES)
    window = extractor.windows(mel, [0], extractor.fps)
    bins, expected = window.shape[1], encoder.config["num_mel_bins"]
    if bins != expected:
        raise ValueError(f"the features have {bins} mel bins, the audio encoder expects {expected}")
    if not extractor.min_level_db < 0 < extractor.max_abs_value:
        raise ValueError("`min_level_db` must be below 0, and `max_abs_value` above")
    encoder(window.to(encoder.device, encoder.dtype))
    betas = getattr(pipe.scheduler, "betas", None)
    if torch.is_tensor(betas) and not ((betas >= 0) & (betas <= 1)).all():
        raise ValueError("the betas of its scheduler are not between 0 and 1")
    copy.deepcopy(pipe.scheduler).set_timesteps(2)


@torch.no_grad()
def _try_steps(scheduler: Any) -> None:
    """Takes the steps of a schedule with a few pixels; none of a scheduler that the pipeline refuses when called."""
    try:
        check_scheduler(scheduler)
    except ValueError:
        return
    scheduler.set_timesteps(2)
    sample, output = torch.zeros(1, 3, 2, 2), torch.zeros(1, 6 if learns_variance(scheduler) else 3, 2, 2)
    extra = extra_step_kwargs(scheduler, [torch.Generator().manual_seed(0)], 0.0)
    for timestep in scheduler.timesteps:
        sample = scheduler.scale_model_input(sample, timestep)
        try:
            sample = scheduler.step(output, timestep, sample, **extra).prev_sample
        except Exception as error:  # what a setting breaks cannot be known
            raise ValueError(f"{type(scheduler).__name__} cannot make a step: {reason_of(error)}") from error


def _check_kinds(model: str | Path, defaults: Mapping[str, object], values: Mapping[str, object]) -> None:
    for name, default in defaults.items():
        if not _is_alike(values[name], default):
            raise Diff2LipError(f"{model}: `{name}` is {values[name]!r}, expected a value like {default!r}")


def _is_alike(value: object, default: object) -> bool:
    """Whether a setting has the kind of its default; whole numbers have a sensible size."""
    if isinstance(default, (str, bool)) or default is None:
        return type(value) is type(default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return abs(value) <= MAX_SETTING and (not isinstance(default, int) or isinstance(value, int))
