"""Training of the diffusion model on true frames with noise, as a generator of step records."""

from collections.abc import Iterator

import torch

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import make_scheduler
from .config import TrainConfig
from .denoiser import Denoiser, make_denoiser
from .denoiser_run import DenoiserRun
from .diffusion import Diffusion, NoisyBatch
from .objective import Objective, load_experts
from .training_run import StepRecord

PREVIEW_SCHEDULER, PREVIEW_STEPS = "dpmsolver++", 8


def train(config: TrainConfig, resume: bool = True) -> Iterator[StepRecord]:
    """Trains and yields one record per step; writes checkpoints and the model folder on the way and at the end.

    Args:
        config: settings of the run.
        resume: whether to resume from the newest checkpoint in `config.output`; otherwise checkpoints are removed.

    Raises:
        Diff2LipError: if the data, a model or a folder cannot be used.
        ValueError: if loaded weights or the crop size do not fit the settings.
    """
    trainer = Trainer(config, resume)
    try:
        yield from trainer.run()
    finally:
        trainer.close()


class Trainer(DenoiserRun[TrainConfig]):
    """A run of the diffusion model's training, on true frames with noise."""

    def _first_denoiser(self) -> Denoiser:
        return make_denoiser(self.config)

    def _load_teaching(self) -> None:
        config = self.config
        self.diffusion = Diffusion(
            audio_dropout=config.audio_dropout,
            strategy=config.timestep_bias_strategy,
            multiplier=config.timestep_bias_multiplier,
            begin=config.timestep_bias_begin,
            end=config.timestep_bias_end,
            portion=config.timestep_bias_portion,
        )
        self.objective = Objective(config, self.diffusion, load_experts(config, self.device))

    def _noisy_batch(self, samples: dict[str, torch.Tensor]) -> NoisyBatch:
        return self.diffusion.noisy_batch(samples)

    def _preview_pipeline(self) -> Diff2LipPipeline:
        pipe = self._pipeline()
        pipe.scheduler = make_scheduler(PREVIEW_SCHEDULER, pipe.scheduler.config)
        pipe.register_to_config(default_num_inference_steps=PREVIEW_STEPS)
        return pipe
