"""The commands `diff2lip train` and `diff2lip export`."""

import argparse
import logging
import math
from pathlib import Path

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from tqdm import tqdm

from .option_values import number


def add_train(commands) -> None:
    """Adds the command."""
    train = commands.add_parser(
        "train",
        help="train the model on a set that diff2lip prepare wrote",
        description="Trains the model as a YAML file says. The same command again goes on where it was stopped. Over"
        " several GPUs: accelerate launch -m diff2lip_diffusers train ...",
    )
    train.add_argument("config", metavar="CONFIG", help="YAML file with the fields of TrainConfig")
    train.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the file's, such as steps=100 or losses.syncnet=0; may be repeated",
    )
    train.add_argument("--init-from", metavar="DIR", help="model folder to go on from; short for --set init_from=DIR")
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
        help="steps that a line of log.jsonl, and of the output, is the mean of (default: 50)",
    )
    train.set_defaults(run=_run_train)


def add_export(commands) -> None:
    """Adds the command."""
    export = commands.add_parser(
        "export",
        help="write a model folder in the authors' layout",
        description="Writes a model folder as one file in the authors' layout: what convert reads.",
    )
    export.add_argument("model", metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    export.add_argument("output", metavar="FILE", help="the .pt file to write")
    export.set_defaults(run=_run_export)


def _run_export(args: argparse.Namespace) -> None:
    from .training.export import export_original

    convert = export_original(args.model, args.output)
    print(f"{args.output}: exported; the way back: {convert}")


def _run_train(args: argparse.Namespace) -> None:
    from .training.config import read_train_config
    from .training.step_log import LOG_NAME, log_steps
    from .training.trainer import Trainer

    set_verbosity(logging.CRITICAL)  # what goes wrong comes back as an exception, and is said once
    disable_progress_bar()
    overrides = [*args.overrides, *([f"init_from={args.init_from}"] if args.init_from else [])]
    config = read_train_config(args.config, overrides)
    trainer = Trainer(config, args.resume)
    is_main = trainer.accelerator.is_main_process
    try:
        waiting = []
        hidden = None if is_main else True  # None: hidden where nobody looks
        with tqdm(total=config.steps, initial=trainer.step, unit="step", disable=hidden) as bar:
            for record in trainer.run():
                waiting.append(record)
                bar.set_postfix(loss=f"{record.losses['total']:.4f}", refresh=False)
                bar.update()
                if is_main and (len(waiting) == args.log_every or record.step == config.steps):
                    log_steps(Path(config.output) / LOG_NAME, waiting, shows=bar.disable)
                    waiting = []
    finally:
        trainer.accelerator.end_training()
    if is_main:
        result = Path(config.output) / ("model" if config.lora is None else "lora")
        print(f"{config.output}: {config.steps} steps done; see {result}")
