"""The student's schedule: the first part of the model's noise schedule, in a few equal steps of DDIM."""

import torch
from diffusers import DDIMScheduler

from ...schedulers import original_scheduler


class StudentSchedule:
    """Timesteps of a student, and its steps from one to the next.

    The student starts with pure noise at a timestep where the model's schedule still has some signal: at 1000, a
    network that predicts noise cannot predict a frame, because an error of its output is 150 times as large in the
    frame. A linear schedule that is cut off stays linear, so the scheduler is an ordinary DDIM scheduler with fewer
    timesteps and trailing spacing.

    Letters in shapes: N frames, S x S pixels.

    Args:
        num_inference_steps: number of steps, a divisor of `first_timestep`.
        first_timestep: number of timesteps of the schedule that is left.

    Source: Song et al. 2021 (DDIM), equation 12; Lin et al. 2024 (trailing timesteps), table 2.
    """

    def __init__(self, num_inference_steps: int, first_timestep: int):
        full = original_scheduler()
        changes = {"num_train_timesteps": first_timestep, "beta_end": full.betas[first_timestep - 1].item()}
        self.scheduler = DDIMScheduler(**{**full.config, **changes, "timestep_spacing": "trailing"})
        self.scheduler.set_timesteps(num_inference_steps)
        self.timesteps: torch.Tensor = self.scheduler.timesteps
        self.alphas_cumprod = self.scheduler.alphas_cumprod[self.timesteps]

    def next_sample(self, sample: torch.Tensor, x0: torch.Tensor, step: int) -> torch.Tensor:
        """Returns the samples after a step, (N, 3, S, S), as the pipeline makes them.

        Args:
            sample: (N, 3, S, S), before the step.
            x0: (N, 3, S, S), the frames that the student predicts from them.
            step: number of the step, from 0; not the last.
        """
        before, after = self.alphas_cumprod[step].item(), self.alphas_cumprod[step + 1].item()
        x0 = x0.clamp(-1, 1)
        noise = (sample - before**0.5 * x0) / (1 - before) ** 0.5
        return after**0.5 * x0 + (1 - after) ** 0.5 * noise
