"""Lighting of the head: soft, warm shading from the normals of its ellipsoid and its relief."""

from typing import NamedTuple

import numpy as np

from .brushes import Plane, smooth
from .identity import Identity

_WRAP = (0.52, 0.38, 0.33)  # light wraps around skin, red light the most


class Light(NamedTuple):
    """Light of the scene: direction and color of the key light, and color of the ambient light."""

    direction: tuple[float, float, float]
    key: np.ndarray
    ambient: np.ndarray


def light_of(identity: Identity) -> Light:
    """Returns the light in the person's room."""
    direction = np.array([identity.light_x, identity.light_y, 0.8])
    warm = identity.light_warmth
    key = np.array([0.56 + 0.035 * warm, 0.535, 0.515 - 0.055 * warm]) * identity.light_strength
    room = np.array(identity.background) / 255
    ambient = 0.515 + 0.07 * (room - room.mean()) + 0.015 * np.array([-1, 0, 1]) * warm
    x, y, z = direction / np.linalg.norm(direction)
    return Light((float(x), float(y), float(z)), _column(key), _column(ambient))


def _column(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float32).reshape(3, 1, 1)


def normals(x: Plane, y: Plane, depth: Plane, slope_u: Plane, slope_v: Plane) -> tuple[Plane, Plane, Plane]:
    """Returns unit normals (x right, y down, z toward the viewer) at upright places of an ellipsoid with a relief."""
    nx, ny, nz = x * 2.0 - slope_u, y * 1.15 - slope_v, depth + 0.12
    scale = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return nx * scale, ny * scale, nz * scale


def shine(light: Light, normal: tuple[Plane, Plane, Plane], roll_cos: float, roll_sin: float):
    """Returns the light on the skin: diffuse light by color (3, H, W), and a soft highlight (H, W)."""
    nx, ny, nz = normal
    lx, ly, lz = light.direction
    lx, ly = lx * roll_cos + ly * roll_sin, ly * roll_cos - lx * roll_sin
    facing = nx * lx + ny * ly + nz * lz
    lit = np.empty((3, *facing.shape), dtype=np.float32)
    for index, (key, ambient, wrap) in enumerate(zip(light.key.flat, light.ambient.flat, _WRAP, strict=True)):
        np.multiply(np.clip(facing + wrap, 0, None), key / (1 + wrap), out=lit[index])
        lit[index] += ambient * (0.86 + 0.14 * nz)
    hx, hy, hz = lx, ly, lz + 1
    length = (hx * hx + hy * hy + hz * hz) ** 0.5
    half = np.clip((nx * hx + ny * hy + nz * hz) / length, 0, 1)
    glow = half * half
    glow *= glow
    glow *= glow
    broad = glow * glow
    return lit, 0.07 * glow + 0.14 * broad * broad * smooth(0, 1, nz)
