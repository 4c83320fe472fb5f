"""Trains a personal model: judges it on held-out frames, keeps the best weights, and stops when they get no better."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..training.config import TrainConfig
from ..training.lora import save_lora
from ..training.model_folder import save_model_folder
from ..training.run_folder import CONFIG_NAME, LORA_NAME
from ..training.trainer import Trainer
from ..training.training_run import StepRecord
from .held_out import HeldOutFrames
from .material import HeldOutPart
from .preview_sheet import write_preview
from .progress_file import Evaluation, ProgressFile
from .step_losses import StepLosses

BEST_NAME, PROGRESS_NAME = "best", "progress.json"
PREVIEW_EVERY_S = 60
# Stops after so many evaluations without a better one.
PATIENCE = 4


@dataclass(frozen=True)
class PersonProgress:
    """How far a run is.

    Attributes:
        step: number of steps done.
        num_steps: of all steps.
        seconds: time used so far.
        left_s: time left, at the speed of this process; 0 at the end.
        loss: of this step.
        newest: the newest evaluation.
        best: the best one so far.
    """

    step: int
    num_steps: int
    seconds: float
    left_s: float
    loss: float
    newest: Evaluation
    best: Evaluation


@dataclass(frozen=True)
class TrainedPerson:
    """The outcome of a run.

    Attributes:
        weights: folder of the best weights: a pipeline folder, or one with an adapter in `lora`.
        held_out: the frames that were not trained on.
        evaluations: in order of their steps.
        best: that of the best weights.
        steps: number of steps that were trained.
        device: where they were trained.
    """

    weights: Path
    held_out: HeldOutFrames
    evaluations: list[Evaluation]
    best: Evaluation
    steps: int
    device: str


class PersonTrainer(Trainer):
    """A run of the training of a personal model. Checkpoints resume it.

    Args:
        config: settings of the run.
        held_out: what is not trained on.
        speech: file with other speech, for the preview.
        limit_s: time for the run, over all processes that resumed it.
        preview: image file that is written every minute.
    """

    def __init__(
        self, config: TrainConfig, held_out: tuple[HeldOutPart, ...], speech: str | Path, limit_s: float, preview: Path
    ):
        super().__init__(config)
        self.held_out = HeldOutFrames(held_out, self.data, self.size_px, speech)
        self.progress = ProgressFile(self.output / PROGRESS_NAME)
        self._limit_s, self._preview = limit_s, preview
        self._begun_s, self._used_before_s, self._first_step = time.monotonic(), self.progress.seconds, self.step
        self._previewed_s = self._begun_s
        self._losses = StepLosses(self.output, self.step)

    def train(self, on_progress: Callable[[PersonProgress], None] | None = None) -> TrainedPerson:
        """Trains until the held-out frames get no better, or the steps or the time are over."""
        # The weights that the run starts from; or those of a checkpoint, if the process was killed in an evaluation.
        self._evaluate()
        steps = self.run()
        while not self._is_over() and (record := next(steps, None)) is not None:
            self._losses.add(record)
            if time.monotonic() - self._previewed_s >= PREVIEW_EVERY_S:
                self._write_preview()
            if on_progress is not None:
                on_progress(self._reached(record))
        self._evaluate()
        weights, progress = self.output / BEST_NAME, self.progress
        return TrainedPerson(weights, self.held_out, progress.evaluations, progress.best, self.step, str(self.device))

    @property
    def _used_s(self) -> float:
        """Time that the run has used, in all processes that resumed it."""
        return self._used_before_s + time.monotonic() - self._begun_s

    def _is_over(self) -> bool:
        return self._used_s >= self._limit_s or self.progress.since_best >= PATIENCE

    def _save_result(self) -> None:
        """Follows each checkpoint: judges the averaged weights, and keeps them if they are the best so far."""
        self._evaluate()

    def _evaluate(self) -> None:
        if self.progress.has(self.step):
            return
        with self._averaged_weights():
            score = self.held_out.score(self.denoiser.pipeline())
            if self.progress.is_best(score):
                self._keep()
        self.progress.add(Evaluation(self.step, self._used_s, score))

    def _keep(self) -> None:
        if self.config.lora is not None:
            save_lora(self.denoiser.unet, self.output / BEST_NAME / LORA_NAME)
        else:
            settings = self.output / CONFIG_NAME
            save_model_folder(self.denoiser.pipeline(), self.output / BEST_NAME, self.step, settings)

    def _write_preview(self) -> None:
        with self._averaged_weights():
            write_preview(self.denoiser.pipeline(), self.held_out, self._preview)
        self._previewed_s = time.monotonic()

    def _reached(self, record: StepRecord) -> PersonProgress:
        used_s = self._used_s
        step_s = (used_s - self._used_before_s) / (record.step - self._first_step)
        left_s = min(self._limit_s - used_s, step_s * (self.config.max_train_steps - record.step))
        return PersonProgress(
            record.step,
            self.config.max_train_steps,
            used_s,
            max(0.0, left_s),
            record.losses["total"],
            self.progress.evaluations[-1],
            self.progress.best,
        )
