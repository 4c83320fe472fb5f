"""Clips of the corpus for measurements: face crops straight from the renderer, with the truth about the mouth."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..corpus.head import render_frame
from ..corpus.head_view import face_box
from ..corpus.identity import Identity, draw_identity
from ..corpus.motion import Pose, draw_motion
from ..corpus.utterance import SpokenClip, draw_utterance

FRAME_PX = 192


@dataclass(frozen=True)
class DrawnClip:
    """A drawn person who says something, as face crops.

    Attributes:
        identity: who.
        poses: of the head, N of them.
        spoken: what is said.
        fps: frames a second.
        first_s: when in the speech the first frame is.
        mouth: (N, 6), the true mouth parameters, as in the corpus's tables.
        crops: (N, 3, S, S) float32 in [0, 1].
    """

    identity: Identity
    poses: list[Pose]
    spoken: SpokenClip
    fps: int
    first_s: float
    mouth: np.ndarray
    crops: torch.Tensor


def draw_clip(seed: int, crop_px: int, num_frames: int, fps: int = 25, first_s: float = 0.3) -> DrawnClip:
    """A clip of the corpus's test split: no person, voice or sentence of it is ever trained on.

    Args:
        seed: which clip; odd, as the test split's are.
        crop_px: S.
        num_frames: most frames; fewer where the speech ends before.
        fps: frames a second.
        first_s: length of the beginning that is left out, as nobody speaks yet.

    Raises:
        ValueError: for an even seed, which may have been trained on.
        EspeakError: if espeak-ng is not installed.
    """
    if seed % 2 == 0:
        raise ValueError(f"`seed` is {seed}, expected an odd number: even ones belong to the training split")
    identity, spoken = draw_identity(seed), draw_utterance(seed, "test")
    first = round(first_s * fps)
    times_s = np.arange(first, min(first + num_frames, int(spoken.duration_s * fps))) / fps
    poses, mouth = draw_motion(seed, times_s), spoken.mouth_at(times_s)
    return DrawnClip(identity, poses, spoken, fps, first / fps, mouth, draw_crops(identity, poses, mouth, crop_px))


def draw_crops(identity: Identity, poses: list[Pose], mouth: np.ndarray, crop_px: int) -> torch.Tensor:
    """True face crops (N, 3, S, S) float32 in [0, 1], cut and resized as the lip-sync does it."""
    return torch.cat([_crop(identity, pose, shape, crop_px) for pose, shape in zip(poses, mouth, strict=True)]).clamp(
        0, 1
    )


def _crop(identity: Identity, pose: Pose, shape: np.ndarray, crop_px: int) -> torch.Tensor:
    picture = render_frame(identity, pose, shape, FRAME_PX)
    box = face_box(identity, pose, FRAME_PX).clipped(FRAME_PX, FRAME_PX).rounded()
    cut = torch.from_numpy(picture[box.y1 : box.y2, box.x1 : box.x2].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(cut, (crop_px, crop_px), mode="bilinear", align_corners=False)
