"""Measures how far a drawn mouth is open, by the colors of the pixels in a face crop."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..corpus.head import render_mouth_mask
from ..corpus.head_view import face_box
from ..corpus.identity import Identity
from ..corpus.motion import Pose
from .mouth_reference import MouthColors, mouth_colors

# A wide open, narrow mouth: a column between the middles of the lips, so the share that is open is a height.
WIDE_OPEN = (1.0, 0.1, 0.8, 0.5, 0.0, 0.8)
# Factors by which light and shadow change the colors.
OF_CAVITY, OF_TEETH, OF_TONGUE = (0.7, 1.0, 1.3), (0.55, 0.7, 0.85, 1.0), (0.55, 0.7)
OF_SKIN, OF_LIPS, OF_BEARD = (1.15, 1.0, 0.85, 0.7, 0.55), (1.1, 0.95, 0.8, 0.65), (1.1, 0.8)
LIP_SHINE = 0.06
# The skin between eyes and mouth, for estimating the light on the face: rows and columns as fractions of a crop.
CHEEK_ROWS, CHEEK_COLUMNS = (0.5, 0.62), (0.3, 0.7)
GAINS = (0.5, 1.5)


def opening_zones(identity: Identity, poses: Sequence[Pose], crop_px: int, frame_px: int = 192) -> torch.Tensor:
    """Masks of the pixels that can be the inside of the mouth, (N, S, S) in [0, 1].

    Args:
        identity: the person.
        poses: of the head, one per frame.
        crop_px: S.
        frame_px: size at which the masks are drawn before they are cropped.
    """
    zones = []
    for pose in poses:
        mask = render_mouth_mask(identity, pose, WIDE_OPEN, frame_px)
        box = face_box(identity, pose, frame_px).clipped(frame_px, frame_px).rounded()
        cut = torch.from_numpy(mask[box.y1 : box.y2, box.x1 : box.x2].copy())[None, None]
        zones.append(F.interpolate(cut, (crop_px, crop_px), mode="bilinear", align_corners=False)[0, 0])
    return torch.stack(zones)


def mouth_opening(
    crops: torch.Tensor, zones: torch.Tensor, identity: Identity, poses: Sequence[Pose] = ()
) -> np.ndarray:
    """The share of its zone that the inside of the mouth fills, (N,); grows with the opening, without unit.

    Each pixel is weighted by how much closer its color is to cavity, teeth and tongue than to skin, lips and beard:
    to those of a plain person after the light on the face is removed, to those of a lifelike person in their light.

    Args:
        crops: (N, 3, S, S) in [0, 1], RGB.
        zones: (N, S, S), from [`opening_zones`].
        identity: the person, for the colors.
        poses: of the head, one per frame; a lifelike person needs them.
    """
    if identity.traits is not None:
        drawn = [mouth_colors(identity, pose, zone) for pose, zone in zip(poses, zones, strict=True)]
        return np.array([_share(*each) for each in zip(crops, zones, drawn, strict=True)])
    lit = crops / _light(crops, identity)
    inside, outside = (_distance(lit, colors) for colors in (_inner_colors(identity), _outer_colors(identity)))
    share = outside / (outside + inside + 1e-6)
    return ((share * zones).sum(dim=(1, 2)) / zones.sum(dim=(1, 2))).numpy()


def _share(crop: torch.Tensor, zone: torch.Tensor, colors: MouthColors) -> float:
    """The share of a zone (S, S) of a crop (3, S, S) that is inside the mouth; roots make dark colors count."""
    inside, outside = (_distance(crop[None].sqrt(), list(those.sqrt().T))[0] for those in colors)
    share = outside / (outside + inside + 1e-6)
    return float((share * zone).sum() / zone.sum())


def _light(crops: torch.Tensor, identity: Identity) -> torch.Tensor:
    """Brightness of the face as a multiple of its skin color, (N, 1, 1, 1)."""
    size = crops.shape[-1]
    rows, columns = (slice(int(low * size), int(high * size)) for low, high in (CHEEK_ROWS, CHEEK_COLUMNS))
    cheeks = crops[:, :, rows, columns].flatten(2).median(dim=2).values
    return (cheeks / _rgb(identity.skin)).mean(dim=1).clamp(*GAINS)[:, None, None, None]


def _inner_colors(identity: Identity) -> list[torch.Tensor]:
    cavity, teeth, tongue = (_rgb(color) for color in (identity.cavity, identity.teeth, identity.tongue))
    edge = (cavity + 0.8 * teeth) / 2
    shaded = ((cavity, OF_CAVITY), (teeth, OF_TEETH), (tongue, OF_TONGUE))
    return [factor * color for color, factors in shaded for factor in factors] + [edge]


def _outer_colors(identity: Identity) -> list[torch.Tensor]:
    lips = [factor * _rgb(identity.lips) for factor in OF_LIPS]
    colors = [factor * _rgb(identity.skin) for factor in OF_SKIN] + lips + [color + LIP_SHINE for color in lips]
    if identity.beard != "none":
        colors += [factor * _rgb(identity.hair) for factor in OF_BEARD]
    return colors


def _distance(crops: torch.Tensor, colors: list[torch.Tensor]) -> torch.Tensor:
    """Distance of each pixel to the nearest color, (N, S, S)."""
    squares = [(crops - color[:, None, None]).square().sum(dim=1) for color in colors]
    return torch.stack(squares).amin(dim=0).sqrt()


def _rgb(color: Sequence[int]) -> torch.Tensor:
    return torch.tensor(color, dtype=torch.float32) / 255
