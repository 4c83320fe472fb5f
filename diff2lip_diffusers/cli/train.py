"""The command `diff2lip train`."""

import argparse

from .commands import COMMANDS
from .training_commands import add_config, add_resuming, quiet, run_denoiser


def add_train(commands) -> None:
    """Adds the command."""
    train = commands.add_parser(
        "train",
        help=COMMANDS["train"],
        description="Trains the model with the settings of a YAML file. If the run was stopped, the same command"
        " resumes it. On several GPUs: accelerate launch -m diff2lip_diffusers train ...",
    )
    add_config(train, "TrainConfig")
    train.add_argument("--init-from", metavar="DIR", help="model folder to start from; short for --set init_from=DIR")
    add_resuming(train)
    train.set_defaults(run=_run_train)


def _run_train(args: argparse.Namespace) -> None:
    from ..training.config import read_train_config
    from ..training.trainer import Trainer

    quiet()
    overrides = [*args.overrides, *([f"init_from={args.init_from}"] if args.init_from else [])]
    config = read_train_config(args.config, overrides)
    trainer = Trainer(config, args.resume)
    run_denoiser(trainer, args.log_every)
