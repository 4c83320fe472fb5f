"""How a head in the round turns: the rotation of a pose around the top of the neck."""

from typing import NamedTuple

import numpy as np

from ..motion import Pose

PIVOT_V, PIVOT_DEPTH = 0.25, -0.12  # the joint of head and neck, in face units


class Turning(NamedTuple):
    """Sines and cosines of a pose. Places are (u, v, w): right, down and toward the viewer, in face units.

    Attributes:
        sin_yaw, cos_yaw, sin_pitch, cos_pitch: of the turn and of the nod.
    """

    sin_yaw: float
    cos_yaw: float
    sin_pitch: float
    cos_pitch: float

    def turned(self, u, v, w):
        """Upright places (x, y, z), z toward the viewer, of places on the head at rest."""
        v, w = v - PIVOT_V, w - PIVOT_DEPTH
        y = v * self.cos_pitch + w * self.sin_pitch
        w = w * self.cos_pitch - v * self.sin_pitch
        return u * self.cos_yaw + w * self.sin_yaw, y + PIVOT_V, w * self.cos_yaw - u * self.sin_yaw

    def back(self, x, y, z):
        """Places on the head at rest of upright places; `z` counts from the pivot, as `turned` returns it."""
        y = y - PIVOT_V
        u = x * self.cos_yaw - z * self.sin_yaw
        w = x * self.sin_yaw + z * self.cos_yaw
        v = y * self.cos_pitch - w * self.sin_pitch
        return u, v + PIVOT_V, y * self.sin_pitch + w * self.cos_pitch + PIVOT_DEPTH

    def direction_back(self, x, y, z):
        """As `back`, for directions."""
        w = x * self.sin_yaw + z * self.cos_yaw
        return (
            x * self.cos_yaw - z * self.sin_yaw,
            y * self.cos_pitch - w * self.sin_pitch,
            y * self.sin_pitch + w * self.cos_pitch,
        )


def turning_of(pose: Pose) -> Turning:
    yaw, pitch = np.deg2rad(pose.yaw), np.deg2rad(pose.pitch)
    return Turning(float(np.sin(yaw)), float(np.cos(yaw)), float(np.sin(pitch)), float(np.cos(pitch)))
