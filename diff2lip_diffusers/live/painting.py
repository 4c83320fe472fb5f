"""Paints the mouths of frames of all sessions in batches of one size, and composites them."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import cast

import numpy as np
import torch
from diffusers import SchedulerMixin

from ..boxes import FaceBox
from ..detail.bank import Bank
from ..detail.exemplars import first_row_of, make_exemplar
from ..detail.sharpener import MouthSharpener
from ..errors import Diff2LipError
from ..lipsync.compositing import apply_patch, in_colors_of, painted_patch
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import with_options
from .idle_clip import IdleClip
from .shown_frame import ShownFrame
from .workers import side_by_side

# More gain next to nothing.
BANK_EXEMPLARS = 64
# Steps of a model that was not made for a few; one that was needs no more than so many.
FEW_STEPS, MOST_OWN_STEPS = 2, 4


@dataclass(frozen=True)
class LivePainting:
    """How an engine paints.

    Attributes:
        num_inference_steps: denoising steps; by default those of a model that was made for a few, else 2.
        seed: of the noise, which all frames share.
        guidance_scale: as in a call of the pipeline.
        detail: whether the mouth gets detail from the other frames of an idle clip.
    """

    num_inference_steps: int | None = None
    seed: int = 7
    guidance_scale: float | None = None
    detail: bool = False


class Painter:
    """Paints faces. A face does not depend on those painted with it: batches always have the same size.

    Args:
        pipe: the pipeline.
        batch_size: faces at a time; a batch with fewer is filled up.
        settings: how it paints.

    Attributes:
        steps: denoising steps.
    """

    def __init__(self, pipe: Diff2LipPipeline, batch_size: int, settings: LivePainting):
        self.pipe, self.batch_size, self.settings = pipe, batch_size, settings
        self.fraction: float = pipe.config["painted_fraction"]
        extractor = pipe.feature_extractor
        self.silence = torch.full((extractor.feature_size, extractor.window_size), float(extractor.padding_value))
        own_steps: int = pipe.config["default_num_inference_steps"]
        self.steps = settings.num_inference_steps or (own_steps if own_steps <= MOST_OWN_STEPS else FEW_STEPS)
        self._scheduler = scheduler_for_few_steps(pipe.scheduler)
        self._noise = pipe.prepare_latents(1, self._generator())

    def faces(self, crops: Sequence[np.ndarray], windows: Sequence[torch.Tensor]) -> np.ndarray:
        """Painted faces (N, S, S, 3) float32 in [0, 1]; N is at most the size of a batch.

        Args:
            crops: N of (S, S, 3) uint8.
            windows: N of (80, 16).

        Raises:
            Diff2LipError: if they are not finite.
        """
        fill = self.batch_size - len(crops)
        output = self.pipe(
            np.stack([*crops, *[crops[-1]] * fill]),
            mel_windows=torch.stack([*windows, *[windows[-1]] * fill]),
            num_inference_steps=self.steps,
            scheduler=self._scheduler,
            guidance_scale=self.settings.guidance_scale,
            latents=self._noise,
            generator=self._generator(),
            output_type="np",
        )
        faces = np.asarray(output.frames[: len(crops)])  # pyright: ignore[reportAttributeAccessIssue]
        if not np.isfinite(faces).all():
            raise Diff2LipError("what the model painted is not finite: load the pipeline with dtype fp32")
        return faces

    def composited(self, shown: ShownFrame, face: np.ndarray, sharpener: MouthSharpener | None = None) -> np.ndarray:
        """The picture (H, W, 3) uint8 with a painted face in it; it is unchanged outside the face's lower part.

        Args:
            shown: a frame with a face.
            face: (S, S, 3) float32 in [0, 1].
            sharpener: adds detail.
        """
        crop, box, unsharpened = cast(np.ndarray, shown.crop), cast(FaceBox, shown.box), None
        if sharpener is not None:
            sharp = sharpener(in_colors_of(crop, face, self.fraction), crop) / np.float32(255)
            face, unsharpened = sharp, face
        patch = painted_patch(shown.rgb[shown.area], box, crop, face, self.fraction, unsharpened)
        return apply_patch(shown.rgb, patch)

    def new_sharpener(self, clip: object) -> MouthSharpener | None:
        """Adds detail from the frames of a clip; None if the settings or the source do without."""
        if not (self.settings.detail and isinstance(clip, IdleClip)):
            return None
        seen = [(number, shown) for number, shown in enumerate(clip.frames) if shown.box is not None]
        size = self.pipe.unet.config.sample_size
        chosen = seen[:: -(-len(seen) // BANK_EXEMPLARS)]
        exemplars = [make_exemplar(number, one.rgb[one.area], size, self.fraction) for number, one in chosen]
        return MouthSharpener(Bank(exemplars, first_row_of(self.fraction, size)))

    def rest(self, clip: IdleClip, workers: int = 1) -> None:
        """Paints the mouth of a whole clip at rest, once, in so many threads."""
        waiting = [shown for shown in clip.frames if shown.box is not None and shown.rest is None]
        sharpener = self.new_sharpener(clip) if waiting else None
        batches = [waiting[start : start + self.batch_size] for start in range(0, len(waiting), self.batch_size)]
        painted = side_by_side(self._at_rest, batches, workers)
        for shown, face in zip(waiting, chain.from_iterable(painted), strict=True):
            shown.rest = self.composited(shown, face, sharpener)[shown.area].copy()

    def _at_rest(self, batch: Sequence[ShownFrame]) -> np.ndarray:
        return self.faces([cast(np.ndarray, shown.crop) for shown in batch], [self.silence] * len(batch))

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.settings.seed)


def scheduler_for_few_steps(scheduler: SchedulerMixin) -> SchedulerMixin:
    """The same scheduler, but its first step always starts at pure noise: with one step, others leave noise.

    Source: Lin et al. 2024 (trailing timesteps), table 2.
    """
    if "timestep_spacing" not in inspect.signature(type(scheduler).__init__).parameters:
        return scheduler
    return with_options(scheduler, {"timestep_spacing": "trailing"})
