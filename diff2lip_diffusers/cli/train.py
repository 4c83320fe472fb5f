"""The commands `diff2lip train` and `diff2lip export`."""

import argparse

from .runs import add_config, add_resuming, quiet, run_to_end


def add_train(commands) -> None:
    """Adds the command."""
    train = commands.add_parser(
        "train",
        help="train the model on a set that diff2lip prepare wrote",
        description="Trains the model as a YAML file says. The same command again goes on where it was stopped. Over"
        " several GPUs: accelerate launch -m diff2lip_diffusers train ...",
    )
    add_config(train, "TrainConfig")
    train.add_argument("--init-from", metavar="DIR", help="model folder to go on from; short for --set init_from=DIR")
    add_resuming(train)
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
    from ..training.export import export_original

    convert = export_original(args.model, args.output)
    print(f"{args.output}: exported; the way back: {convert}")


def _run_train(args: argparse.Namespace) -> None:
    from ..training.config import read_train_config
    from ..training.trainer import LORA_NAME, MODEL_NAME, Trainer

    quiet()
    overrides = [*args.overrides, *([f"init_from={args.init_from}"] if args.init_from else [])]
    config = read_train_config(args.config, overrides)
    trainer = Trainer(config, args.resume)
    run_to_end(trainer, args.log_every, measured=lambda record: None)
    if trainer.accelerator.is_main_process:
        result = trainer.output / (MODEL_NAME if config.lora is None else LORA_NAME)
        print(f"{config.output}: {config.steps} steps done; see {result}")
