"""Poses of lifelike people: wider turns around a mean pose, and a place and size in the frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..head_view import BOX_CENTER_Y, BOX_PART, BOX_TOP_V, PIVOT_V
from ..identity import Identity
from ..motion import Cover, Pose, draw_motion
from .cover_motion import draw_covers
from .traits import LifeTraits

MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG = 35.0, 20.0, 20.0
_MIDDLE_Y = 0.53  # of the face box in the frame
_FREE = 0.7  # part of the range where values are not bent
_FORWARD = 0.46  # of the face before the joint that it turns around, in face units


def draw_poses(identity: Identity, times_s: Sequence[float] | np.ndarray) -> list[Pose]:
    """Returns the pose of a person at each time, in the style of their look; see `draw_motion`.

    Raises:
        ValueError: for a negative time.
    """
    if identity.traits is None:
        return draw_motion(identity.seed, times_s)
    traits = identity.life
    times = np.asarray(times_s, dtype=np.float64)
    poses, covers = draw_motion(identity.seed, times, traits.liveliness), draw_covers(identity.seed, times)
    zooms = traits.zoom * np.exp(traits.zooming * np.tanh(0.4 * times))
    return [_framed(*each, traits) for each in zip(poses, zooms, covers, strict=True)]


def _framed(pose: Pose, zoom: float, cover: Cover | None, traits: LifeTraits) -> Pose:
    """The pose with the person's mean turn, nod and tilt, zoom, and place in the frame."""
    side = _FORWARD * np.sin(np.deg2rad(traits.yaw)) + 0.40 * np.sin(np.deg2rad(traits.roll))
    fall = _FORWARD * np.sin(np.deg2rad(traits.pitch))
    unit = BOX_PART * zoom
    neck_y = BOX_CENTER_Y + (PIVOT_V - BOX_TOP_V - 0.5) * BOX_PART
    above = (PIVOT_V - BOX_TOP_V - 0.5) * unit  # from the middle of the box to the neck
    return replace(
        pose,
        yaw=_limited(traits.yaw + 0.95 * pose.yaw, MAX_YAW_DEG),
        pitch=_limited(traits.pitch + 1.4 * pose.pitch, MAX_PITCH_DEG),
        roll=_limited(traits.roll + 1.3 * pose.roll, MAX_ROLL_DEG),
        scale=float(pose.scale * zoom),
        dx=float(traits.shift_x - 0.8 * side * unit + zoom * pose.dx),
        dy=float(_MIDDLE_Y + traits.shift_y - 0.8 * fall * unit + above + zoom * pose.dy - neck_y),
        cover=cover,
    )


def _limited(value: float, most: float) -> float:
    """Bends large values softly so that they stay below `most`."""
    size = abs(value) / most
    if size > _FREE:
        size = _FREE + (1 - _FREE) * np.tanh((size - _FREE) / (1 - _FREE))
    return float(np.copysign(most * size, value))
