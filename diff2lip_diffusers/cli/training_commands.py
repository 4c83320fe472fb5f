"""Arguments and the progress loop that all training commands share."""

import argparse
import logging
from collections.abc import Callable, Mapping
from typing import Any

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from tqdm import tqdm

from ..errors import StoppedError
from .arguments import POSITIVE


def add_config(parser: argparse.ArgumentParser, described_by: str) -> None:
    """Adds the configuration file, and values that override it.

    Args:
        parser: parser of the command.
        described_by: name of the class that documents the keys of the file.
    """
    parser.add_argument("config", metavar="CONFIG", help=f"YAML file with the fields of {described_by}")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a value of the file, such as max_train_steps=100 or seed=1; may be repeated",
    )


def add_resuming(parser: argparse.ArgumentParser) -> None:
    """Adds whether to resume, and how often to log."""
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="resume from the newest checkpoint in the output folder; --no-resume removes the checkpoints first",
    )
    parser.add_argument(
        "--log-every",
        type=POSITIVE,
        default=50,
        metavar="N",
        help="steps per line of log.jsonl and of the output; each line is their mean (default: 50)",
    )


def quiet() -> None:
    """Silences the logs of diffusers: errors are reported once, by exceptions."""
    set_verbosity(logging.CRITICAL)
    disable_progress_bar()


def run_to_end(trainer: Any, log_every: int, measured: Callable[[Any], Mapping[str, float] | None]) -> None:
    """Trains all steps of a run, with a progress bar in a terminal, and writes its log.

    Args:
        trainer: trainer of the diffusion model or of a SyncNet.
        log_every: steps per line of the log, which has their mean.
        measured: returns further values of a step's record for the log.
    """
    from ..training.divergence import DivergedError
    from ..training.step_log import LOG_NAME, log_steps

    is_main, steps = trainer.accelerator.is_main_process, trainer.config.max_train_steps
    waiting = []
    hidden = None if is_main else True  # None: hidden if the output is not a terminal
    try:
        with tqdm(total=steps, initial=trainer.step, unit="step", disable=hidden) as bar:
            for record in trainer.run():
                waiting.append(record)
                bar.set_postfix(loss=f"{record.losses['total']:.4f}", refresh=False)
                bar.update()
                found = measured(record)
                if is_main and (found or len(waiting) >= log_every or record.step == steps):
                    log_steps(trainer.output / LOG_NAME, waiting, shows=bar.disable, measured=found)
                    waiting = []
    except DivergedError as error:
        if is_main:
            raise
        raise StoppedError("all processes stop; the main process says why") from error
    finally:
        trainer.close()


def run_denoiser(run: Any, log_every: int) -> None:
    """Runs a training or a distillation to its end, and says where its result is."""
    from ..training.run_folder import LORA_NAME, MODEL_NAME

    run_to_end(run, log_every, measured=lambda record: None)
    if run.accelerator.is_main_process:
        result = run.output / (MODEL_NAME if run.config.lora is None else LORA_NAME)
        print(f"{run.config.output}: {run.config.max_train_steps} steps done; see {result}")
