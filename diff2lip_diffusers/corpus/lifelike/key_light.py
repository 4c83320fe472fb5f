"""The light on a lifelike person: a soft or hard key light with shadows, a fill light, and a light from behind."""

from typing import NamedTuple

import numpy as np

from ..brushes import Plane, smooth
from ..identity import Identity
from ..lighting import Light

_WRAP = (0.50, 0.34, 0.28)  # light wraps around skin, red light the most


class KeyLight(NamedTuple):
    """The light of a scene; directions are in the frame: x right, y down, z toward the viewer.

    Attributes:
        direction: of the key light.
        hardness: 0 to 1.
        key, fill, rim: colors, (3, 1, 1).
        rim_direction: of the light from behind.
    """

    direction: tuple[float, float, float]
    hardness: float
    key: np.ndarray
    fill: np.ndarray
    rim: np.ndarray
    rim_direction: tuple[float, float, float]

    def turned(self, cos_roll: float, sin_roll: float) -> "KeyLight":
        """The light in the upright view of a tilted head."""
        (x, y, z), (rx, ry, rz) = self.direction, self.rim_direction
        return self._replace(
            direction=(x * cos_roll + y * sin_roll, y * cos_roll - x * sin_roll, z),
            rim_direction=(rx * cos_roll + ry * sin_roll, ry * cos_roll - rx * sin_roll, rz),
        )

    def flat(self) -> Light:
        """The light on things that are drawn flat."""
        return Light(self.direction, 0.72 * self.key, 0.95 * self.fill)


def key_light(identity: Identity) -> KeyLight:
    """Returns the light in the room of a lifelike person."""
    traits = identity.life
    azimuth, height = np.deg2rad(traits.light_azimuth), np.deg2rad(traits.light_height)
    direction = np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)
    x, y, z = (float(part) for part in direction)
    key, fill, rim = (np.array(tint, np.float32).reshape(3, 1, 1) for tint in (traits.key, traits.fill, traits.rim))
    return KeyLight((x, y, z), traits.hardness, key, fill, rim, (0.72 * traits.rim_side, -0.45, -0.53))


def diffuse(light: KeyLight, normal: np.ndarray, shadow: Plane | float, wrap: float = 1.0) -> np.ndarray:
    """Returns the light on a matte surface or on skin, (3, H, W).

    Args:
        light: in the upright view.
        normal: (3, H, W).
        shadow: how much of the key light arrives, 0 to 1.
        wrap: how much light goes around corners; 1 for skin.
    """
    nx, ny, nz = normal
    lx, ly, lz = light.direction
    facing = nx * lx + ny * ly + nz * lz
    shadow = 1 - (0.35 + 0.65 * light.hardness) * (1 - shadow)
    lit = np.empty((3, *facing.shape), np.float32)
    around = 0.72 + 0.16 * nz - 0.16 * ny
    rx, ry, rz = light.rim_direction
    behind = np.clip(nx * rx + ny * ry + nz * rz + 0.12, 0, 1) * (1 - nz) if light.rim.any() else 0
    for index, soft in enumerate(_WRAP):
        soft = soft * wrap * (1 - 0.75 * light.hardness)
        bleed = 0.10 * (1 - shadow) * (1, 0.25, 0.15)[index]  # red light under the skin, in shadows
        direct = np.clip(facing + soft, 0, None) * (1 / (1 + soft)) * (shadow + bleed)
        lit[index] = light.key.flat[index] * 1.18 * direct + light.fill.flat[index] * 1.12 * around
        lit[index] += light.rim.flat[index] * behind
    return lit


def highlight(light: KeyLight, normal: np.ndarray, shadow: Plane | float, oil: float = 1.0) -> np.ndarray:
    """Returns the shine of skin, (3, H, W)."""
    nx, ny, nz = normal
    lx, ly, lz = light.direction
    hz = lz + 1
    length = (lx * lx + ly * ly + hz * hz) ** 0.5
    half = np.clip((nx * lx + ny * ly + nz * hz) / length, 0, 1)
    glow = half**8
    broad = glow * glow
    tight = broad * broad
    fresnel = 1 + 1.5 * (1 - np.clip(nz, 0, 1)) ** 3
    shine = (0.045 * glow + 0.09 * broad + 0.08 * oil * tight) * fresnel * smooth(0, 0.6, nz) * shadow
    return light.key * (1.5 * shine)
