"""What the trainers of the diffusion model and of the SyncNet share: steps, batches, checkpoints, resuming."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from .checkpoints import remove_checkpoint, remove_old_checkpoints, save_checkpoint
from .damaged_clips import DamagedClips, LoadedSamples
from .divergence import DivergedError, DivergenceWatch
from .run_config import RunConfig
from .run_folder import end_run, load_newest_checkpoint, open_run_folder, with_scaler
from .training_set import SampleNumbers, TrainingSet

Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class StepRecord:
    """The outcome of one optimizer step, averaged over all processes.

    Attributes:
        step: number of the step, from 1.
        losses: unweighted losses by name; `total` is the weighted sum, `discriminator` the discriminator's own loss.
        learning_rate: of this step.
        grad_norm: norm of all gradients before clipping. If it or a loss is not finite, the step was skipped.
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
        self._divergence = DivergenceWatch(config)
        self._damaged, self._must_stop = DamagedClips(), False

    def save(self) -> None:
        """Writes a checkpoint and the result so far; the main process only. Waits while steps are skipped.

        Raises:
            DivergedError: if the weights are not finite; earlier checkpoints stay.
            MediaError: if a file cannot be written.
        """
        if self.step == self.config.max_train_steps:
            self._divergence.check_end(self.step)
        elif self._divergence.num_skipped:
            return
        self._divergence.check_weights(self._state(), self.step)
        self._write_checkpoint()
        if self.step == self.config.max_train_steps:
            self._remove_old_checkpoints()
        self.accelerator.wait_for_everyone()

    def _can_step(self, values: Iterable[float]) -> bool:
        """Returns whether the values of a step are finite. If so, the newest checkpoint is good, and old ones may go.

        Raises:
            DivergedError: if too many steps were not finite. The checkpoint with their weights is removed.
        """
        try:
            is_finite = self._divergence.judge(self.step, values)
        except DivergedError:
            if self.accelerator.is_main_process:
                remove_checkpoint(self.output, self.step - self._divergence.num_skipped)
            raise
        if is_finite:
            self._remove_old_checkpoints()
        return is_finite

    def _remove_old_checkpoints(self) -> None:
        if self.accelerator.is_main_process:
            remove_old_checkpoints(self.output, self.config.checkpoints_total_limit)

    def _write_checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            state = with_scaler(self.accelerator, self._state())
            save_checkpoint(self.output, self.step, state)
            self._save_result()

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
        samples = LoadedSamples(self.data)
        loader = DataLoader(samples, batch_size, sampler=numbers, num_workers=workers, collate_fn=samples.collate)
        for batch, damaged in loader:
            self._damaged.note(damaged)
            if batch is None:  # the other processes wait for this one, so it cannot wait for them
                self.step -= 1
                self._write_checkpoint()
                raise self._damaged.error(len(self.data.clips))
            yield batch

    def _stop_if_damaged(self) -> None:
        """Saves and raises the error that names the damaged clips, if a process has met too many."""
        if self._must_stop:
            self.save()
            raise self._damaged.error(len(self.data.clips))

    def _clip_gradients(self, weights: Iterable[torch.nn.Parameter]) -> float:
        """Clips the gradients, if they are to be clipped, and returns their norm before."""
        largest = math.inf if self.config.max_grad_norm is None else self.config.max_grad_norm
        # A norm is missing only on TPUs.
        return self.accelerator.clip_grad_norm_(weights, largest).item()  # pyright: ignore[reportOptionalMemberAccess]

    def _averaged_over_processes(self, losses: dict[str, torch.Tensor]) -> dict[str, float]:
        is_damaged = torch.tensor(float(self._damaged.are_too_many(len(self.data.clips))), device=self.device)
        means = self.accelerator.reduce(torch.stack([*losses.values(), is_damaged]), "mean")
        # A tensor goes in, so a tensor comes out.
        *values, share = means.tolist()  # pyright: ignore[reportAttributeAccessIssue]
        self._must_stop = share > 0
        return dict(zip(losses, values, strict=True))  # pyright: ignore[reportAttributeAccessIssue]

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


def learning_rate_factor(config: RunConfig, step: int) -> float:
    """Returns the factor of the learning rates at a step, from 1: the warm-up times the schedule."""
    factor = min(1.0, step / config.lr_warmup_steps) if config.lr_warmup_steps else 1.0
    if config.lr_scheduler == "cosine":
        factor *= (1 + math.cos(math.pi * (step - 1) / config.max_train_steps)) / 2
    return factor
