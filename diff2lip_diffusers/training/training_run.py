"""What the trainers of the diffusion model and of the SyncNet share: steps, batches, checkpoints, resuming."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from .checkpoints import save_checkpoint
from .config import TrainConfig
from .distillation.config import DistillConfig
from .run_folder import end_run, load_newest_checkpoint, open_run_folder, with_scaler
from .syncnet_config import SyncNetTrainConfig
from .training_set import SampleNumbers, TrainingSet

Config = TypeVar("Config", bound=TrainConfig | DistillConfig | SyncNetTrainConfig)


@dataclass(frozen=True)
class StepRecord:
    """The outcome of one optimizer step, averaged over all processes.

    Attributes:
        step: number of the step, from 1.
        losses: unweighted losses by name; `total` is the weighted sum, `discriminator` the discriminator's own loss.
        learning_rate: of this step.
        grad_norm: norm of all gradients before clipping; nan if they are not clipped.
        seconds: duration of the step.
    """

    step: int
    losses: dict[str, float]
    learning_rate: float
    grad_norm: float
    seconds: float


class TrainingRun(Generic[Config]):
    """A run in progress. Subclasses train in `run` and say what a checkpoint holds.

    Args:
        config: settings of the run.
        accelerator: of this process.
    """

    data: TrainingSet

    def __init__(self, config: Config, accelerator: Accelerator):
        self.config, self.output = config, Path(config.output)
        self.accelerator, self.device = accelerator, accelerator.device
        self.step = 0

    def save(self) -> None:
        """Writes a checkpoint and the result so far; the main process only."""
        if self.accelerator.is_main_process:
            state = with_scaler(self.accelerator, self._state())
            save_checkpoint(self.output, self.step, state, self.config.checkpoints_total_limit)
            self._save_result()
        self.accelerator.wait_for_everyone()

    def close(self) -> None:
        """Closes the trackers and leaves the other processes; no steps are possible after this."""
        self._unwrap_networks()
        end_run(self.accelerator)

    def _start(self, resume: bool) -> None:
        """Loads the newest checkpoint, then writes the settings, so that a refused resume changes no file."""
        if resume:
            load_newest_checkpoint(self.accelerator, self.output, self._load)
        open_run_folder(self.accelerator, self.output, self.config, resume)

    def _is_due(self, every: int) -> bool:
        """Returns whether something that is done every so many steps, and at the last one, is done now."""
        return bool(every) and (self.step % every == 0 or self.step == self.config.max_train_steps)

    def _batches(self, first_sample: int, batch_size: int) -> Iterator[dict[str, torch.Tensor]]:
        """Yields this process's batches, from a sample number on, without end."""
        process, num_processes = self.accelerator.process_index, self.accelerator.num_processes
        numbers = SampleNumbers(first_sample, batch_size, process, num_processes)
        workers = self.config.dataloader_num_workers
        return iter(DataLoader(self.data, batch_size, sampler=numbers, num_workers=workers))

    def _clip_gradients(self, weights: Iterable[torch.nn.Parameter]) -> float:
        """Clips the gradients and returns their norm before; nan if they are not clipped."""
        largest = self.config.max_grad_norm
        if largest is None:
            return float("nan")
        # A norm is missing only on TPUs.
        return self.accelerator.clip_grad_norm_(weights, largest).item()  # pyright: ignore[reportOptionalMemberAccess]

    def _averaged_over_processes(self, losses: dict[str, torch.Tensor]) -> dict[str, float]:
        means = self.accelerator.reduce(torch.stack(list(losses.values())), "mean")
        # A tensor goes in, so a tensor comes out.
        return dict(zip(losses, means.tolist(), strict=True))  # pyright: ignore[reportAttributeAccessIssue]

    def _state(self) -> dict[str, Any]:
        """Returns the state that a checkpoint holds."""
        raise NotImplementedError

    def _load(self, state: dict[str, Any]) -> None:
        """Loads a state of [`_state`]."""
        raise NotImplementedError

    def _save_result(self) -> None:
        """Writes the trained network as a folder."""
        raise NotImplementedError

    def _unwrap_networks(self) -> None:
        """Drops the wrappers that accelerate put around the networks."""
        raise NotImplementedError


def learning_rate_factor(config: TrainConfig | DistillConfig | SyncNetTrainConfig, step: int) -> float:
    """Returns the factor of the learning rates at a step, from 1: the warm-up times the schedule."""
    factor = min(1.0, step / config.lr_warmup_steps) if config.lr_warmup_steps else 1.0
    if config.lr_scheduler == "cosine":
        factor *= (1 + math.cos(math.pi * (step - 1) / config.max_train_steps)) / 2
    return factor
