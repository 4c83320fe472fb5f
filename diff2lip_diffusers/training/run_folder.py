"""Start and end of a training run: its processes, its folder, and the checkpoint that it resumes from."""

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
from ..output_paths import remove_leftovers_of
from .checkpoints import CHECKPOINTS_NAME, list_checkpoints, load_checkpoint, remove_half_written
from .config_file import write_config

CONFIG_NAME, MODEL_NAME, LORA_NAME = "config.yaml", "model", "lora"

logger = logging.getLogger(__name__)


def make_accelerator(mixed_precision: str, **options: Any) -> Accelerator:
    """Returns the accelerator of a run, on this process's device.

    Args:
        mixed_precision: `"no"`, `"fp16"` or `"bf16"`.
        **options: further arguments of accelerate's `Accelerator`.
    """
    # An earlier run in this process may have used another precision.
    AcceleratorState._reset_state()
    return Accelerator(
        # As in ProcessGroup: without a GPU, accelerate connects the processes only if it is told to use the CPU.
        cpu=not torch.accelerator.is_available() or bool(str_to_bool(os.environ.get("ACCELERATE_USE_CPU", "no"))),
        mixed_precision=mixed_precision,
        kwargs_handlers=[InitProcessGroupKwargs(timeout=GROUP_TIMEOUT)],
        **options,
    )


def end_run(accelerator: Accelerator) -> None:
    """Closes the trackers and leaves the other processes. The caller must have dropped all prepared networks before.

    Otherwise PyTorch's wrapper of such a network may be the last owner of the process group. It then waits for a
    thread of the group while it holds the interpreter's lock, and that thread may be waiting for the lock.
    """
    accelerator.free_memory()
    accelerator.end_training()


def open_run_folder(accelerator: Accelerator, output: Path, config: Any, resume: bool) -> None:
    """Makes the folder of a run and writes its settings there; the main process does it, the others wait.

    Args:
        accelerator: of the run.
        output: the folder.
        config: the settings, a dataclass.
        resume: whether to keep the checkpoints in the folder.

    Raises:
        MediaError: if it cannot be written.
    """
    if accelerator.is_main_process:
        try:
            output.mkdir(parents=True, exist_ok=True)
            if not resume:
                shutil.rmtree(output / CHECKPOINTS_NAME, ignore_errors=True)
            write_config(config, output / CONFIG_NAME)
            for path in (output / MODEL_NAME, output / LORA_NAME):
                remove_leftovers_of(path)
        except OSError as error:
            raise MediaError(output, f"cannot be written: {error.strerror}; choose another folder") from error
        remove_half_written(output)
    accelerator.wait_for_everyone()


def load_newest_checkpoint(accelerator: Accelerator, output: Path, load: Callable[[dict], None]) -> None:
    """Loads the newest checkpoint of a run, if there is one.

    Args:
        accelerator: of the run; its gradient scaler is loaded as well.
        output: the run's folder.
        load: loads the networks' and optimizers' parts of a state.

    Raises:
        CheckpointError: if the checkpoint is damaged, or belongs to other networks.
    """
    found = list_checkpoints(output)
    if not found:
        return
    state = load_checkpoint(found[-1])
    try:
        load(state)
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{found[-1]}: was written by a run with other networks; choose another `output`, or start over with"
            " --no-resume"
        ) from error
    if accelerator.scaler is not None and "scaler" in state:
        accelerator.scaler.load_state_dict(state["scaler"])
    logger.info("resuming from step %d", state["step"])


def with_scaler(accelerator: Accelerator, state: dict) -> dict:
    """Returns a state with that of the gradient scaler, if there is one."""
    return state if accelerator.scaler is None else state | {"scaler": accelerator.scaler.state_dict()}
