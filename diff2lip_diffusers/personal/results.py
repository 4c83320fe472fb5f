"""What was measured of a personal model at its end."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..hub import load_pipeline
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .held_out import HeldOutFrames, HeldOutScore
from .mouth_darkness import match_mouths


@dataclass(frozen=True)
class PersonalResults:
    """Measurements on the held-out frames.

    Attributes:
        before: the weights that the model starts from, with the person's own speech.
        after: the personal model.
        other_correlation: of the mouth's darkness with the truth when the model hears other speech; chance is 0.
        other_movement: how much the darkness changes then, as a multiple of the truth.
        sharpness: Laplacian variance in the box of the mouth, as a multiple of the truth's.
        sharpness_before: the same of the weights that the model starts from.
        num_frames: held-out frames.
        guidance_scale: of the personal model.
        step: of the best weights.
        steps: number of steps that were trained.
        minutes: that the training took.
    """

    before: HeldOutScore
    after: HeldOutScore
    other_correlation: float
    other_movement: float
    sharpness: float
    sharpness_before: float
    num_frames: int
    guidance_scale: float = 1.0
    step: int = 0
    steps: int = 0
    minutes: float = 0.0

    def table(self) -> list[tuple[str, str, str]]:
        """Name of each measure, with its value before and after."""
        before, after = self.before, self.after
        return [
            ("PSNR of the mouth", f"{before.psnr_db:.1f} dB", f"{after.psnr_db:.1f} dB"),
            ("follows the truth, own speech (1 is perfect)", f"{before.correlation:.2f}", f"{after.correlation:.2f}"),
            ("follows the truth, other speech (0 is right)", "", f"{self.other_correlation:.2f}"),
            ("movement, own speech (1 is the truth)", f"{before.movement:.2f}", f"{after.movement:.2f}"),
            ("movement, other speech", "", f"{self.other_movement:.2f}"),
            ("guidance scale", "", f"{self.guidance_scale:g}"),
            ("sharpness of the mouth (1 is the truth)", f"{self.sharpness_before:.2f}", f"{self.sharpness:.2f}"),
        ]


@dataclass(frozen=True)
class PaintedRows:
    """The held-out frames, painted: (N, 3, S, S) in [0, 1] each."""

    before: torch.Tensor
    own_speech: torch.Tensor
    other_speech: torch.Tensor


def measure(base: str | Path, pipe: Diff2LipPipeline, held_out: HeldOutFrames) -> tuple[PersonalResults, PaintedRows]:
    """Returns the measurements, without what the run knows, and the painted frames.

    Args:
        base: the weights that the model starts from.
        pipe: the personal model.
        held_out: frames to judge on.
    """
    unadapted = load_pipeline(base, device=str(pipe.device), dtype="fp32")
    unadapted.set_progress_bar_config(disable=True)
    before, own = (held_out.paint(some, held_out.own_speech) for some in (unadapted, pipe))
    other = [held_out.paint(pipe, mel_windows) for mel_windows in held_out.other_speech]
    matches = [match_mouths(painted, held_out.frames) for painted in other]
    results = PersonalResults(
        before=HeldOutScore.of(match_mouths(before, held_out.frames)),
        after=HeldOutScore.of(match_mouths(own, held_out.frames)),
        other_correlation=float(np.mean([match.correlation for match in matches])),
        other_movement=float(np.mean([match.movement for match in matches])),
        sharpness=held_out.sharpness(own),
        sharpness_before=held_out.sharpness(before),
        num_frames=len(held_out.frames),
    )
    return results, PaintedRows(before, own, other[0])
