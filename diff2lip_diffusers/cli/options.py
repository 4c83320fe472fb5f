"""Arguments that the commands `sync` and `batch` share: the model, and the options of a job."""

import argparse
import json
import logging
import math
import sys
from typing import Any

import torch
from diffusers.utils.logging import disable_progress_bar, set_verbosity
from huggingface_hub.utils import disable_progress_bars

from ..hub import COMPILE_MODES, DTYPES, compile_pipeline, default_device, load_pipeline, warm_up
from ..lipsync.options import OLD_NAMES, OPTIONS, SyncOptions
from ..lipsync.sampling import default_batch_size
from ..lipsync.task_restoration import restorer_of
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import SCHEDULERS, make_scheduler, with_options
from .arguments import sync_option


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the model, its device and its precision."""
    parser.add_argument("--model", required=True, metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    parser.add_argument("--variant", help="variant of the weight files, such as fp16")
    parser.add_argument("--scheduler", choices=SCHEDULERS, help="sampler (default: the model's own)")
    parser.add_argument(
        "--scheduler-option",
        dest="scheduler_options",
        type=_scheduler_option,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="setting of the sampler, such as use_karras_sigmas=true; repeatable",
    )
    parser.add_argument(
        "--lora",
        type=_lora,
        action="append",
        default=[],
        metavar="PATH[:SCALE]",
        help="adapter to add to the model: a training run, a folder or a repository on the Hub; repeatable",
    )
    parser.add_argument(
        "--compile",
        nargs="?",
        const=COMPILE_MODES[0],
        choices=COMPILE_MODES,
        metavar="MODE",
        help="compile the model first: minutes once, then each frame is faster; rounds differently. max-autotune and"
        " reduce-overhead use CUDA graphs on a GPU",
    )
    add_hub_place(parser)


def add_hub_place(parser: argparse.ArgumentParser, subfolder: bool = True) -> None:
    """Adds which state and folder of a repository on the Hub is meant, who asks for it, and where it is stored."""
    group = parser.add_argument_group("repositories on the Hub")
    group.add_argument("--revision", metavar="REV", help="branch, tag or commit (default: the main branch)")
    group.add_argument("--token", help="access token (default: that of hf auth login)")
    group.add_argument(
        "--hub-cache-dir", metavar="DIR", help="folder for its downloads (default: that of huggingface_hub)"
    )
    if subfolder:
        group.add_argument("--subfolder", metavar="DIR", help="where the model is in the folder or repository")


def hub_place(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments that [`add_hub_place`] added, as the library takes them."""
    place = {name: getattr(args, name) for name in ("revision", "token", "subfolder") if name in args}
    return place | {"cache_dir": args.hub_cache_dir}


def load_model(args: argparse.Namespace, device: str | None, dtype: str | None) -> Diff2LipPipeline:
    """Loads the pipeline that the arguments name, without log output."""
    hush_libraries()
    pipe = load_pipeline(args.model, device, dtype, args.variant, args.lora, **hub_place(args))
    if args.scheduler:
        pipe.scheduler = make_scheduler(args.scheduler, pipe.scheduler.config)
    pipe.scheduler = with_options(pipe.scheduler, dict(args.scheduler_options))
    if args.compile:
        _compile(pipe, args)
    return pipe


def hush_libraries() -> None:
    """Keeps diffusers and huggingface_hub from printing: logs always, progress where nobody watches it."""
    set_verbosity(logging.CRITICAL)  # errors arrive as exceptions, and are printed once
    if not sys.stderr.isatty():
        disable_progress_bar()
        disable_progress_bars()


def _compile(pipe: Diff2LipPipeline, args: argparse.Namespace) -> None:
    compile_pipeline(pipe, args.compile)
    print("compiling the model; the first time this takes minutes", file=sys.stderr)
    given = options_of(args)
    took_s = warm_up(pipe, given.get("batch_size") or default_batch_size(pipe), given.get("guidance_scale"))
    print(f"compiled in {took_s:.1f} s", file=sys.stderr)


def add_options(parser: argparse.ArgumentParser, one_video: bool = False) -> None:
    """Adds the fields of `SyncOptions`, grouped as their declarations say.

    Args:
        parser: of the command.
        one_video: whether to add those, too, that belong to a single video.
    """
    groups: dict[str | None, Any] = {None: parser}
    rivals: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        if not option.help or (option.scope == "video" and not one_video):
            continue
        group = groups.get(option.group) or groups.setdefault(option.group, parser.add_argument_group(option.group))
        if option.rivals is not None:
            group = rivals.get(option.rivals) or rivals.setdefault(option.rivals, group.add_mutually_exclusive_group())
        group.add_argument(option.flag or _flag(name), **sync_option(name), help=option.help)
        for old_name in (old for old, new in OLD_NAMES.items() if new == name):
            group.add_argument(_flag(old_name), **sync_option(name), help=argparse.SUPPRESS)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of `SyncOptions` that were given."""
    return {name: getattr(args, name) for name in OPTIONS if name in args}


def show_restorer(options: SyncOptions, device: str | None) -> None:
    """Prints the license of the restorer that the options name; fails if its file cannot be used."""
    if options.restore is None:
        return
    restorer = restorer_of(options, torch.device(device or default_device()))
    if restorer is not None:
        print(restorer.notice, file=sys.stderr)


def _scheduler_option(text: str) -> tuple[str, Any]:
    """A key, and a value of JSON or a word."""
    key, equals, value = text.partition("=")
    if not (key.isidentifier() and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE, such as use_karras_sigmas=true")
    try:
        return key, json.loads(value.lower() if value in ("True", "False") else value)
    except ValueError:
        return key, value


def _lora(text: str) -> tuple[str, float]:
    """A path or repository, and its scale, 1 by default."""
    path, colon, scale = text.rpartition(":")
    try:
        number = float(scale) if colon else math.nan
    except ValueError:  # a colon in the path
        return text, 1.0
    if not colon:
        return text, 1.0
    if not path or not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not PATH[:SCALE], such as anna:0.8")
    return path, number


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
