"""The command `diff2lip train-syncnet`."""

import argparse

from .commands import COMMANDS
from .training_commands import add_config, add_resuming, quiet, run_to_end


def add_train_syncnet(commands) -> None:
    """Adds the command."""
    train = commands.add_parser(
        "train-syncnet",
        help=COMMANDS["train-syncnet"],
        description="Trains a SyncNet on a set that diff2lip prepare wrote, with the settings of a YAML file. If the"
        " run was stopped, the same command resumes it. On several GPUs: accelerate launch -m diff2lip_diffusers"
        " train-syncnet ...",
    )
    add_config(train, "SyncNetTrainConfig")
    add_resuming(train)
    train.set_defaults(run=_run_train_syncnet)


def _run_train_syncnet(args: argparse.Namespace) -> None:
    from ..training.syncnet_config import read_syncnet_config
    from ..training.syncnet_trainer import MODEL_NAME, SyncNetTrainer

    quiet()
    config = read_syncnet_config(args.config, args.overrides)
    trainer = SyncNetTrainer(config, args.resume)
    run_to_end(trainer, args.log_every, _measured)
    if trainer.accelerator.is_main_process:
        print(f"{config.output}: {config.max_train_steps} steps done; see {trainer.output / MODEL_NAME}")


def _measured(record) -> dict[str, float] | None:
    found = record.held_out
    return {"held_out_accuracy": found.accuracy, "held_out_choice": found.choice} if found else None
