"""The student's input: samples that its own steps have led to, and the frames that the teacher paints."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from ..diffusion import NoisyBatch
from ..losses import painted_mask
from .schedule import StudentSchedule


@dataclass(frozen=True)
class StudentBatch(NoisyBatch):
    """The student's input at its own timesteps, and what it is to paint from it; N = B samples x T frames.

    `noise` is the initial noise. It also fills the masked frames, as in the pipeline. Unlike in training, `noisy` does
    not come from the true frames, but from the student's own steps before.

    Attributes:
        targets: (N, 3, S, S) in [-1, 1], the frames that the teacher paints from the same noise; the true
            frames if there is no teacher.
    """

    targets: torch.Tensor

    def rows(self, chosen: torch.Tensor) -> "StudentBatch":
        """Returns the chosen frames, for a mask (N,) bool."""
        names = ("frames", "noise", "noisy", "timesteps", "alphas_cumprod")
        names += ("masked_frames", "references", "mel_windows", "unheard", "targets")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def student_batch(
    samples: dict[str, torch.Tensor], targets: torch.Tensor, schedule: StudentSchedule, denoise: Callable
) -> StudentBatch:
    """Returns the student's input before one of its steps, which is drawn for each sample.

    Args:
        samples: a batch of a [`StudentSamples`].
        targets: (N, 3, S, S) in [-1, 1], the teacher's frames.
        schedule: the student's timesteps.
        denoise: the student: function of a [`StudentBatch`] that returns (M, 6, S, S) for its M frames.
    """
    count = samples["frames"].shape[1]
    steps_done = (samples["draw"] * len(schedule.timesteps)).long().repeat_interleave(count)
    batch = _at_step(_first_batch(samples, targets), schedule, steps_done)
    noisy = batch.noisy.clone()
    with torch.no_grad():
        for step in range(int(steps_done.max())):
            moving = steps_done > step
            part = replace(batch, noisy=noisy).rows(moving)
            part = _at_step(part, schedule, torch.full_like(part.timesteps, step))
            x0 = part.x0(denoise(part).float()[:, :3])
            noisy[moving] = schedule.next_sample(part.noisy, x0, step)
    return replace(batch, noisy=noisy)


def _at_step(batch: StudentBatch, schedule: StudentSchedule, steps_done: torch.Tensor) -> StudentBatch:
    timesteps, alphas = (
        values.to(steps_done.device)[steps_done] for values in (schedule.timesteps, schedule.alphas_cumprod)
    )
    return replace(batch, timesteps=timesteps, alphas_cumprod=alphas)


def _first_batch(samples: dict[str, torch.Tensor], targets: torch.Tensor) -> StudentBatch:
    count = samples["frames"].shape[1]
    frames = samples["frames"].flatten(0, 1)
    noise, references = (samples[name].repeat_interleave(count, dim=0) for name in ("noise", "reference"))
    mask = painted_mask(frames.shape[-1]).to(frames.device)
    none = torch.zeros(len(frames), dtype=torch.long, device=frames.device)
    return StudentBatch(
        frames=frames,
        noise=noise,
        noisy=noise,
        timesteps=none,
        alphas_cumprod=none,
        masked_frames=torch.where(mask.bool(), noise, frames),
        references=references,
        mask=mask,
        mel_windows=samples["mel_windows"].flatten(0, 1),
        unheard=torch.zeros_like(none, dtype=torch.bool),
        targets=targets,
    )
