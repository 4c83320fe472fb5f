"""Distillation loop: a trainer whose denoiser learns what its teacher paints."""

from collections.abc import Iterator
from functools import partial

import torch

from ...output_paths import filling_folder
from ...portable.pipeline_diff2lip import Diff2LipPipeline
from ..denoiser import Denoiser, make_denoiser
from ..denoiser_run import DenoiserRun, training_set
from ..objective import load_experts
from ..run_folder import LORA_NAME
from ..training_run import StepRecord
from ..training_set import TrainingSet
from .config import DistillConfig
from .objective import DistillObjective
from .schedule import StudentSchedule
from .student_batch import StudentBatch, student_batch
from .teacher import StudentSamples, Teacher

SCHEDULER_NAME = "scheduler"


def distill(config: DistillConfig, resume: bool = True) -> Iterator[StepRecord]:
    """Trains a student and yields one record per step; writes checkpoints and the student on the way and at the end.

    The student is a pipeline folder with its own scheduler and number of steps, or an adapter with its scheduler.
    Each of its steps learns to predict the teacher's final frame from where its own steps before have led it, so it
    sees the same samples in training and in use. Teacher and student start from the same noise.

    Args:
        config: settings of the run.
        resume: whether to resume from the newest checkpoint in `config.output`; otherwise checkpoints are removed.

    Raises:
        Diff2LipError: if the data, a model or a folder cannot be used.
        ValueError: if the crop size does not fit the model.

    Source: Salimans and Ho 2022 (progressive distillation), section 3, for learning a deterministic sampler's result;
        Luhman and Luhman 2021 (knowledge distillation), equation 7, for learning its last frame.
    """
    distiller = Distiller(config, resume)
    try:
        yield from distiller.run()
    finally:
        distiller.close()


class Distiller(DenoiserRun[DistillConfig]):
    """A run of a distillation: teacher, student, optimizers, averaged weights, data and progress.

    Args:
        config: settings of the run.
        resume: as in [`distill`].
    """

    def _first_denoiser(self) -> Denoiser:
        return make_denoiser(self.config.first_student)

    def _load_teaching(self) -> None:
        config = self.config
        self.schedule = StudentSchedule(config.num_inference_steps, config.first_timestep)
        self.teacher = Teacher(config, self.size_px, self.device) if config.losses.need_teacher else None
        self.objective = DistillObjective(config, load_experts(config, self.device))

    def _training_set(self) -> TrainingSet:
        return training_set(self.config, self.size_px, partial(StudentSamples, count=self.config.teacher_samples))

    def _noisy_batch(self, samples: dict[str, torch.Tensor]) -> StudentBatch:
        targets = samples["frames"].flatten(0, 1) if self.teacher is None else self.teacher.targets(samples)
        # Its own steps need no gradients, so the module without its wrapper for several processes makes them.
        return student_batch(samples, targets, self.schedule, self.denoiser)

    def _pipeline(self) -> Diff2LipPipeline:
        pipe = super()._pipeline()
        pipe.scheduler = self.schedule.scheduler
        pipe.register_to_config(default_num_inference_steps=self.config.num_inference_steps)
        return pipe

    def _save_result(self) -> None:
        super()._save_result()
        if self.config.lora is not None:
            with filling_folder(self.output / LORA_NAME) as folder:
                self.schedule.scheduler.save_pretrained(folder / SCHEDULER_NAME)
