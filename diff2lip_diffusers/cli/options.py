"""Arguments that the commands `sync` and `batch` share: the model, and the options of a job."""

import argparse
import logging
import sys
from typing import Any

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from huggingface_hub.utils import disable_progress_bars

from ..hub import DTYPES, load_pipeline
from ..lipsync.options import OLD_NAMES, OPTIONS
from ..pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import SCHEDULERS, make_scheduler
from .arguments import sync_option


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the model, its device and its precision."""
    parser.add_argument("--model", required=True, metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    parser.add_argument("--variant", help="variant of the weight files, such as fp16")
    parser.add_argument("--scheduler", choices=SCHEDULERS, help="sampler (default: the model's own)")


def load_model(args: argparse.Namespace, device: str | None, dtype: str | None) -> Diff2LipPipeline:
    """Loads the pipeline that the arguments name, without log output."""
    set_verbosity(logging.CRITICAL)  # errors arrive as exceptions, and are printed once
    if not sys.stderr.isatty():
        disable_progress_bar()
        disable_progress_bars()
    pipe = load_pipeline(args.model, device, dtype, args.variant)
    if args.scheduler:
        pipe.scheduler = make_scheduler(args.scheduler, pipe.scheduler.config)
    return pipe


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


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
