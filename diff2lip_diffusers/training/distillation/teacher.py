"""The teacher: paints the samples' frames, and keeps what it painted on the disk."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...batch.records import fingerprint
from ...errors import MediaError
from ...hub import load_pipeline
from ...output_paths import writing
from ...portable.pipeline_diff2lip import Diff2LipPipeline
from ...prepare.set_layout import INDEX_NAME
from ...schedulers import make_scheduler
from ..losses import painted_mask
from ..training_set import TrainingSet
from .config import DistillConfig

TARGETS_NAME = "targets"
# What a stored result depends on, besides the teacher and the set's files.
SAMPLE_SETTINGS = (
    "guidance_rescale seed frames_per_sample held_out_fraction jitter random_flip color_jitter cache cache_px reader"
).split()


class StudentSamples(TrainingSet):
    """Samples of a distillation: those of a training set, which may repeat.

    Args:
        *args: as for a [`TrainingSet`].
        count: number of different samples; 0 for no limit.
        **settings: as for a [`TrainingSet`].
    """

    def __init__(self, *args: Any, count: int = 0, **settings: Any):
        super().__init__(*args, **settings)
        self.count = count

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        """Returns sample k: that of the set, with `number` (), the same in each repetition. `draw` is always new."""
        own = number % self.count if self.count else number
        draw = np.random.Generator(np.random.PCG64((self.seed, number, 1))).random()
        new = {"draw": torch.tensor(draw, dtype=torch.float64), "number": torch.tensor(own)}
        return super().__getitem__(own) | new


class Teacher:
    """Paints frames as the student is to paint them.

    Args:
        config: settings of the run.
        size_px: height and width of the crops.
        device: device that it paints on.

    Raises:
        Diff2LipError: if the teacher cannot be loaded.
    """

    def __init__(self, config: DistillConfig, size_px: int, device: torch.device):
        self.pipe = _load_teacher(config, size_px, device)
        self.guidance_rescale = config.guidance_rescale
        self.stored: Path | None = None
        if config.teacher_samples:
            folder = Path(config.targets or Path(config.output) / TARGETS_NAME)
            self.stored = folder / _fingerprint(config, self.pipe)
            with writing(self.stored):
                self.stored.mkdir(parents=True, exist_ok=True)

    def targets(self, samples: dict[str, torch.Tensor]) -> torch.Tensor:
        """Returns the painted frames of B samples of T frames, (B * T, 3, S, S) in [-1, 1].

        Args:
            samples: a batch of [`StudentSamples`].
        """
        if self.stored is None:
            return self._paint(samples)
        files = [self.stored / f"{number:08d}.npy" for number in samples["number"].tolist()]
        missing = [place for place, file in enumerate(files) if not file.exists()]
        if missing:
            some = {name: values[missing] for name, values in samples.items()}
            painted = self._paint(some).unflatten(0, (len(missing), -1))
            rows = painted_mask(painted.shape[-1])[0, 0, :, 0].bool()
            for place, frames in zip(missing, painted.cpu(), strict=True):
                _store(frames[:, :, rows], files[place])
        # Read again where it was just painted: files hold fewer digits, and a resumed run only has the files.
        stored = torch.cat([_load(file) for file in files])
        frames = samples["frames"].flatten(0, 1).clone()
        frames[:, :, -stored.shape[2] :] = stored.to(frames)
        return frames

    def _paint(self, samples: dict[str, torch.Tensor]) -> torch.Tensor:
        count = samples["frames"].shape[1]
        noise, references = (samples[name].repeat_interleave(count, dim=0) for name in ("noise", "reference"))
        output: Any = self.pipe(
            (samples["frames"].flatten(0, 1) + 1) / 2,
            mel_windows=samples["mel_windows"].flatten(0, 1),
            reference_frames=(references + 1) / 2,
            latents=noise,
            output_type="pt",
            guidance_rescale=self.guidance_rescale,
        )
        return 2 * output.frames - 1


def _load_teacher(config: DistillConfig, size_px: int, device: torch.device) -> Diff2LipPipeline:
    dtype = "fp32" if config.mixed_precision == "no" else config.mixed_precision
    pipe = load_pipeline(config.teacher, str(device), dtype)
    pipe.set_progress_bar_config(disable=True)
    pipe.unet.register_to_config(sample_size=size_px)
    if config.teacher_scheduler is not None:
        pipe.scheduler = make_scheduler(config.teacher_scheduler, pipe.scheduler.config)
    if config.teacher_steps is not None:
        pipe.register_to_config(default_num_inference_steps=config.teacher_steps)
    if config.guidance_scale is not None:
        pipe.register_to_config(default_guidance_scale=config.guidance_scale)
    return pipe


def _fingerprint(config: DistillConfig, pipe: Diff2LipPipeline) -> str:
    """Returns a digest of all that decides the teacher's results."""
    digest = hashlib.sha256(fingerprint(pipe).encode())
    digest.update(json.dumps({name: getattr(config, name) for name in SAMPLE_SETTINGS}).encode())
    for folder in config.folders:
        digest.update((Path(folder) / INDEX_NAME).read_bytes())
    return digest.hexdigest()[:16]


def _store(painted: torch.Tensor, path: Path) -> None:
    """Writes the painted rows of a result, complete or not at all; several processes may write the same."""
    half = path.with_name(f".{path.stem}.{os.getpid()}")
    with writing(path):
        with half.open("wb") as file:
            np.save(file, painted.half().numpy())
        half.replace(path)


def _load(path: Path) -> torch.Tensor:
    """Returns the painted rows of a stored result, (T, 3, R, S) float16.

    Raises:
        MediaError: if the file is damaged.
    """
    try:
        return torch.from_numpy(np.load(path))
    except (OSError, ValueError, EOFError) as error:
        raise MediaError(path, "is damaged; delete it, and it is painted again") from error
