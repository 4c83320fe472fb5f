"""The colors inside and around a lifelike person's mouth, by drawing them in their light with open and shut mouths."""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..corpus.head import render_frame, render_mouth_mask
from ..corpus.head_view import face_box
from ..corpus.identity import Identity
from ..corpus.motion import Pose

OPEN = (0.8, 0.5, 0.1, 0.8, 0.5, 0.7)
SHUT = (0.0, 0.5, 0.1, 0.0, 0.0, 0.1)
INNER_COLORS, OUTER_COLORS = 16, 24
FRAME_PX = 160


class MouthColors(NamedTuple):
    """Colors (3, K), RGB in [0, 1], inside the mouth and around it."""

    inner: torch.Tensor
    outer: torch.Tensor


def mouth_colors(identity: Identity, pose: Pose, zone: torch.Tensor) -> MouthColors:
    """Returns the colors of a mouth in a pose.

    Args:
        identity: a lifelike person.
        pose: of the head; what is before the face is left out.
        zone: (S, S), from `mouth_opening.opening_zones`.
    """
    pose = replace(pose, cover=None)
    size = zone.shape[-1]
    wide, inside = (_crop(planes, identity, pose, size) for planes in _drawn(identity, pose, OPEN))
    shut, _ = (_crop(planes, identity, pose, size) for planes in _drawn(identity, pose, SHUT))
    near = F.max_pool2d(zone[None, None], 9, 1, 4)[0, 0] > 0.5
    return MouthColors(_spread(wide[:, inside[0] > 0.9], INNER_COLORS), _spread(shut[:, near], OUTER_COLORS))


def _drawn(identity: Identity, pose: Pose, mouth) -> tuple[torch.Tensor, torch.Tensor]:
    """A frame (3, H, W) in [0, 1], and the coverage by the inside of the mouth (1, H, W)."""
    frame = torch.from_numpy(render_frame(identity, pose, mouth, FRAME_PX)).permute(2, 0, 1).float() / 255
    return frame, torch.from_numpy(render_mouth_mask(identity, pose, mouth, FRAME_PX))[None]


def _crop(planes: torch.Tensor, identity: Identity, pose: Pose, size: int) -> torch.Tensor:
    box = face_box(identity, pose, FRAME_PX).clipped(FRAME_PX, FRAME_PX).rounded()
    part = planes[None, :, box.y1 : box.y2, box.x1 : box.x2]
    return F.interpolate(part, (size, size), mode="bilinear", align_corners=False)[0]


def _spread(pixels: torch.Tensor, count: int) -> torch.Tensor:
    """`count` of the pixels (3, N), equally spaced by brightness."""
    ordered = pixels[:, pixels.sum(dim=0).argsort()]
    return ordered[:, torch.linspace(0, ordered.shape[1] - 1, count).long()]
