"""The command `diff2lip train-syncnet`."""

import argparse
import math
from pathlib import Path

from diffusers.utils.logging import CRITICAL, disable_progress_bar, set_verbosity
from tqdm import tqdm

from .option_values import number


def add_train_syncnet(commands) -> None:
    """Adds the command."""
    train = commands.add_parser(
        "train-syncnet",
        help="train a SyncNet, which tells whether a mouth fits a sound",
        description="Trains a SyncNet on a set that diff2lip prepare wrote, as a YAML file says. The same command"
        " again goes on where it was stopped. Over several GPUs: accelerate launch -m diff2lip_diffusers train-syncnet"
        " ...",
    )
    train.add_argument("config", metavar="CONFIG", help="YAML file with the fields of SyncNetTrainConfig")
    train.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the file's, such as steps=100; may be repeated",
    )
    train.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from the newest checkpoint in the output folder; or start anew, which removes its checkpoints",
    )
    train.add_argument(
        "--log-every",
        type=number(int, 1, math.inf, "a whole number above 0"),
        default=50,
        metavar="N",
        help="steps that a line of the log, and of the output, is the mean of (default: 50)",
    )
    train.set_defaults(run=_run_train_syncnet)


def _run_train_syncnet(args: argparse.Namespace) -> None:
    from .training.syncnet_config import read_syncnet_config
    from .training.syncnet_trainer import MODEL_NAME, SyncNetTrainer

    set_verbosity(CRITICAL)  # what goes wrong comes back as an exception, and is said once
    disable_progress_bar()
    config = read_syncnet_config(args.config, args.overrides)
    trainer = SyncNetTrainer(config, args.resume)
    try:
        _run(trainer, args.log_every)
    finally:
        trainer.accelerator.end_training()
    if trainer.accelerator.is_main_process:
        print(f"{config.output}: {config.steps} steps done; see {Path(config.output) / MODEL_NAME}")


def _run(trainer, log_every: int) -> None:
    from .training.step_log import LOG_NAME, log_steps

    is_main, steps = trainer.accelerator.is_main_process, trainer.config.steps
    waiting = []
    hidden = None if is_main else True  # None: hidden where nobody looks
    with tqdm(total=steps, initial=trainer.step, unit="step", disable=hidden) as bar:
        for record in trainer.run():
            waiting.append(record)
            bar.set_postfix(loss=f"{record.losses['total']:.4f}", refresh=False)
            bar.update()
            found = record.held_out
            if is_main and (found or len(waiting) >= log_every or record.step == steps):
                measured = {"held_out_accuracy": found.accuracy, "held_out_choice": found.choice} if found else {}
                log_steps(trainer.output / LOG_NAME, waiting, shows=bar.disable, measured=measured)
                waiting = []
