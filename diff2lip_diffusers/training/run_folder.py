"""What every run of training begins with: its processes, its folder, and the state it goes on from."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import str_to_bool

from ..batch.process_group import GROUP_TIMEOUT
from ..errors import CheckpointError, MediaError
from .checkpoints import CHECKPOINTS_NAME, list_checkpoints, load_checkpoint, remove_half_written
from .config_file import write_config

CONFIG_NAME, MODEL_NAME = "config.yaml", "model"

logger = logging.getLogger(__name__)


def make_accelerator(mixed_precision: str, **options: Any) -> Accelerator:
    """The accelerator of a run, on this process's device.

    Args:
        mixed_precision: `"no"`, `"fp16"` or `"bf16"`.
        **options: further ones of accelerate's.
    """
    # An earlier run in this process may have had another precision.
    AcceleratorState._reset_state()
    return Accelerator(
        # As a ProcessGroup: without a GPU, processes are joined only where accelerate is told that there is none.
        cpu=not torch.accelerator.is_available() or bool(str_to_bool(os.environ.get("ACCELERATE_USE_CPU", "no"))),
        mixed_precision=mixed_precision,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=GROUP_TIMEOUT)],
        **options,
    )


def end_run(accelerator: Accelerator) -> None:
    """Closes the trackers and leaves the other processes; the trainer must hold no network that was prepared any more.

    PyTorch's wrapper of such a network, were it the last owner of the process group, would wait for a thread of the
    group while it holds the interpreter's lock, which that thread may be waiting for.
    """
    accelerator.free_memory()
    accelerator.end_training()


def open_run_folder(accelerator: Accelerator, output: Path, config: Any, resume: bool) -> None:
    """Makes the folder of a run, with its settings in it; the main process does, the others wait.

    Args:
        accelerator: of the run.
        output: the folder.
        config: a dataclass.
        resume: False removes the checkpoints that lie there.

    Raises:
        MediaError: if it cannot be written.
    """
    if accelerator.is_main_process:
        try:
            output.mkdir(parents=True, exist_ok=True)
            if not resume:
                shutil.rmtree(output / CHECKPOINTS_NAME, ignore_errors=True)
            write_config(config, output / CONFIG_NAME)
        except OSError as error:
            raise MediaError(output, f"cannot be written: {error.strerror}; choose another folder") from error
        remove_half_written(output)
    accelerator.wait_for_everyone()


def go_on(accelerator: Accelerator, output: Path, load: Callable[[dict], None]) -> dict | None:
    """The newest state of a run, loaded; None where there is none.

    Args:
        accelerator: of the run; its gradient scaler is loaded, too.
        output: the run's folder.
        load: puts the networks' and optimisers' parts of a state in their places.

    Raises:
        CheckpointError: if the state is damaged, or belongs to other networks.
    """
    found = list_checkpoints(output)
    if not found:
        return None
    state = load_checkpoint(found[-1])
    try:
        load(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{found[-1]}: was written by a run with other networks; choose another `output`, or start anew with"
            " --no-resume"
        ) from error
    if accelerator.scaler is not None and "scaler" in state:
        accelerator.scaler.load_state_dict(state["scaler"])
    logger.info("going on from step %d", state["step"])
    return state


def with_scaler(accelerator: Accelerator, state: dict) -> dict:
    """A state, with that of the gradient scaler where there is one."""
    return state if accelerator.scaler is None else state | {"scaler": accelerator.scaler.state_dict()}
