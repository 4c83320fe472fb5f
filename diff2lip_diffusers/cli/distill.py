"""The command `diff2lip distill`."""

import argparse

from .commands import COMMANDS
from .training_commands import add_config, add_resuming, quiet, run_denoiser


def add_distill(commands) -> None:
    """Adds the command."""
    distill = commands.add_parser(
        "distill",
        help=COMMANDS["distill"],
        description="Trains a student with the settings of a YAML file. If the run was stopped, the same command"
        " resumes it. On several GPUs: accelerate launch -m diff2lip_diffusers distill ...",
    )
    add_config(distill, "DistillConfig")
    distill.add_argument("--teacher", metavar="DIR", help="model folder to learn from; short for --set teacher=DIR")
    add_resuming(distill)
    distill.set_defaults(run=_run_distill)


def _run_distill(args: argparse.Namespace) -> None:
    from ..training.distillation.config import read_distill_config
    from ..training.distillation.distiller import Distiller

    quiet()
    overrides = [*args.overrides, *([f"teacher={args.teacher}"] if args.teacher else [])]
    config = read_distill_config(args.config, overrides)
    distiller = Distiller(config, args.resume)
    run_denoiser(distiller, args.log_every)
