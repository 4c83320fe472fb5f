"""Clips of the corpus for measurements: face crops from the renderer, with the true mouth parameters."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ..corpus.head import render_frame
from ..corpus.head_view import face_box
from ..corpus.identity import Identity, draw_identity
from ..corpus.lifelike.framing import draw_poses
from ..corpus.motion import Pose
from ..corpus.utterance import SpokenClip, draw_utterance

FRAME_PX = 192


@dataclass(frozen=True)
class DrawnClip:
    """Face crops of a drawn person who speaks.

    Attributes:
        identity: the person.
        poses: N poses of the head.
        spoken: the speech.
        fps: frames per second.
        first_s: time of the first frame in the speech.
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


def draw_clip(
    seed: int, crop_px: int, num_frames: int, fps: int = 25, first_s: float = 0.3, look: str = "plain"
) -> DrawnClip:
    """Draws a clip of the corpus's test split, whose people, voices and sentences are not in the training split.

    Args:
        seed: of the clip; odd, as in the test split.
        crop_px: S.
        num_frames: maximum number of frames; fewer if the speech is shorter.
        fps: frames per second.
        first_s: skips this many seconds at the start, which are silent.
        look: of the person: `"plain"`, `"life"` or `"mixed"`.

    Raises:
        ValueError: for an even seed, which belongs to the training split.
        EspeakError: if espeak-ng is not installed.
    """
    if seed % 2 == 0:
        raise ValueError(f"`seed` is {seed}, expected an odd number: even ones belong to the training split")
    identity, spoken = draw_identity(seed, look), draw_utterance(seed, "test")
    first = round(first_s * fps)
    times_s = np.arange(first, min(first + num_frames, int(spoken.duration_s * fps))) / fps
    poses, mouth = draw_poses(identity, times_s), spoken.mouth_at(times_s)
    return DrawnClip(identity, poses, spoken, fps, first / fps, mouth, draw_crops(identity, poses, mouth, crop_px))


def draw_crops(identity: Identity, poses: list[Pose], mouth: np.ndarray, crop_px: int) -> torch.Tensor:
    """True face crops (N, 3, S, S) float32 in [0, 1], cut out and resized as in a lip-sync job."""
    return torch.cat([_crop(identity, pose, shape, crop_px) for pose, shape in zip(poses, mouth, strict=True)]).clamp(
        0, 1
    )


def _crop(identity: Identity, pose: Pose, shape: np.ndarray, crop_px: int) -> torch.Tensor:
    frame = render_frame(identity, pose, shape, FRAME_PX)
    box = face_box(identity, pose, FRAME_PX).clipped(FRAME_PX, FRAME_PX).rounded()
    cut = torch.from_numpy(frame[box.y1 : box.y2, box.x1 : box.x2].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(cut, (crop_px, crop_px), mode="bilinear", align_corners=False)
