"""What all commands have in common that train as a YAML file says."""

import argparse
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from tqdm import tqdm

from ..lipsync.option_values import number


def add_config(parser: argparse.ArgumentParser, described_by: str) -> None:
    """Adds the file, and values that go before it.

    Args:
        parser: of the command.
        described_by: name of the class whose fields the file has.
    """
    parser.add_argument("config", metavar="CONFIG", help=f"YAML file with the fields of {described_by}")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value than the file's, such as steps=100, or losses.syncnet=0; may be repeated",
    )


def add_resuming(parser: argparse.ArgumentParser) -> None:
    """Adds whether to go on, and how often to say how it goes."""
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on from the newest checkpoint in the output folder; or start anew, which removes its checkpoints",
    )
    parser.add_argument(
        "--log-every",
        type=number(int, 1, math.inf, "a whole number above 0"),
        default=50,
        metavar="N",
        help="steps that a line of log.jsonl, and of the output, is the mean of (default: 50)",
    )


def quiet() -> None:
    """Leaves it to exceptions to say what goes wrong, once."""
    set_verbosity(logging.CRITICAL)
    disable_progress_bar()


def run_to_end(trainer: Any, log_every: int, measured: Callable[[Any], Mapping[str, float] | None]) -> None:
    """All steps of a run, with a bar where somebody looks, and lines in its log.

    Args:
        trainer: of the diffusion model or of a SyncNet.
        log_every: steps that a line of the log is the mean of.
        measured: what else a step's record tells, for the log.
    """
    from ..training.step_log import LOG_NAME, log_steps

    is_main, steps = trainer.accelerator.is_main_process, trainer.config.steps
    waiting = []
    hidden = None if is_main else True  # None: hidden where nobody looks
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
    finally:
        trainer.close()
