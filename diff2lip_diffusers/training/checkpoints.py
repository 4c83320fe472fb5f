"""Checkpoints of a run: one file each, written beside and renamed, so that a killed run leaves only complete ones."""

import errno
import os
from pathlib import Path

import torch

from ..errors import CheckpointError, MediaError

CHECKPOINTS_NAME, PREFIX = "checkpoints", "step-"


def save_checkpoint(output: str | Path, step: int, state: dict) -> Path:
    """Writes the state after a step.

    Args:
        output: folder of the run.
        step: number of steps done.
        state: tensors, numbers and texts, nested in dicts and lists.

    Returns:
        The new file.

    Raises:
        MediaError: if the file cannot be written; earlier ones stay.
    """
    folder = Path(output) / CHECKPOINTS_NAME
    target, half = folder / f"{PREFIX}{step:08d}.pt", folder / f".{PREFIX}{step:08d}.half"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors(state, half)
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise MediaError(
            target, f"cannot be written: {error.strerror}; make room and start again to resume"
        ) from error
    return target


def remove_old_checkpoints(output: str | Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints."""
    for old in list_checkpoints(output)[:-keep]:
        old.unlink(missing_ok=True)


def remove_checkpoint(output: str | Path, step: int) -> None:
    """Removes the checkpoint of a step, unless it is the only one."""
    found = list_checkpoints(output)
    for path in found if len(found) > 1 else []:
        if path.name == f"{PREFIX}{step:08d}.pt":
            path.unlink(missing_ok=True)


def save_tensors(tensors: dict, path: Path) -> None:
    """Writes nested dicts and lists of tensors, and waits until they are on the disk.

    Raises:
        OSError: if the disk is full or fails.
    """
    with path.open("wb") as file:
        try:
            torch.save(tensors, file)
        except RuntimeError as error:
            # If the disk is full, torch raises an error about positions in its archive.
            raise OSError(errno.ENOSPC, "the disk is full, or cannot be written") from error
        file.flush()
        os.fsync(file.fileno())


def list_checkpoints(output: str | Path) -> list[Path]:
    """Returns the complete checkpoints of a run, oldest first."""
    return sorted((Path(output) / CHECKPOINTS_NAME).glob(f"{PREFIX}*.pt"))


def remove_half_written(output: str | Path) -> None:
    """Removes the incomplete checkpoint of a killed run."""
    for half in (Path(output) / CHECKPOINTS_NAME).glob(f".{PREFIX}*.half"):
        half.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict:
    """Returns the state that [`save_checkpoint`] wrote, on the CPU.

    Raises:
        CheckpointError: if the file is damaged.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict):
            return state
        raise TypeError("a checkpoint is a dict")
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointError(f"{path}: is damaged; delete it to resume from the one before") from error
