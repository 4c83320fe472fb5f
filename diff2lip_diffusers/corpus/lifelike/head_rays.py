"""Finds what each pixel sees of a head in the round, by marching along its line of sight."""

from typing import NamedTuple

import numpy as np

from ..brushes import Plane
from ..head_view import HeadView, Region
from ..identity import Identity
from ..motion import Pose
from .head_shape import CENTER, head_shape, interpolated, nearest
from .turning import PIVOT_DEPTH, PIVOT_V, turning_of

_STEPS, _FINE_STEPS, _STRIDE = 13, 3, 0.72
_SLOPE_STEP = 0.008


class Hits(NamedTuple):
    """What the pixels of a region see of a surface in the round.

    Attributes:
        u, v, w: places on the head at rest, in face units.
        cover: coverage of the pixel, 0 to 1.
        normal: (3, H, W) of unit length, in the upright view: x right, y down, z toward the viewer.
    """

    u: Plane
    v: Plane
    w: Plane
    cover: Plane
    normal: np.ndarray


class LifeView(HeadView):
    """The head in the round of one person in one pose.

    Attributes:
        turning: of the pose.
        shape: of the head.
    """

    def __init__(self, identity: Identity, pose: Pose, size_px: int):
        super().__init__(identity, pose, size_px)
        self.turning = turning_of(pose)
        self.sin_yaw, self.cos_yaw, self.sin_pitch, self.cos_pitch = self.turning
        self.shape = head_shape(identity)

    def depth_at(self, u: float, v: float) -> float:
        """The depth w of the face at a place (u, v) in front."""
        w = 0.4
        for _ in range(6):
            du, dv, dw = u - CENTER[0], v - CENTER[1], max(w - CENTER[2], 0.01)
            radius = float(nearest(self.shape.rest, *(np.array([part], np.float32) for part in (du, dv, dw)))[0])
            w = CENTER[2] + np.sqrt(max(radius * radius - du * du - dv * dv, 0.0))
        return float(w)

    def to_pixel(self, u: float, v: float, w: float | None = None) -> tuple[float, float]:
        """The pixel (x, y) of a place on the face, or at depth `w`."""
        x, y, _ = self.turning.turned(u, v, self.depth_at(u, v) if w is None else w)
        return self.upright_to_pixel(x, y)

    def on_surface(self, region: Region, radii: np.ndarray) -> Hits:
        """Marches to a surface that is given by its radius in every direction."""
        x, y = self.upright(region)
        reach = float(radii.max()) + 0.01
        start = self.turning.turned(*CENTER)
        dx, dy = x - np.float32(start[0]), y - np.float32(start[1])
        within = dx * dx + dy * dy < reach * reach
        flat = np.flatnonzero(within)
        hits = _march(self, dx.ravel().take(flat), dy.ravel().take(flat), radii, reach)
        u, v, w, cover, normal = (_spread(planes, flat, x.shape) for planes in hits)
        return Hits(u, v, w, cover, normal)

    def shaded(self, hits: Hits, radii: np.ndarray, light: tuple[float, float, float], softness: float) -> Plane:
        """How much of a light reaches each place, 0 in shadow to 1, along the upright direction `light`."""
        known = np.flatnonzero(hits.cover > 0)
        places = [plane.ravel().take(known) - np.float32(c) for plane, c in zip(hits[:3], CENTER, strict=True)]
        normal = self.turning.direction_back(*(plane.ravel().take(known) for plane in hits.normal))
        toward = [np.float32(d) for d in self.turning.direction_back(*light)]
        places = [place + 0.012 * n for place, n in zip(places, normal, strict=True)]
        clear = np.full(known.shape, 1, np.float32)
        for distance in (0.03, 0.06, 0.1, 0.15, 0.21, 0.28, 0.37):
            u, v, w = (place + np.float32(distance) * d for place, d in zip(places, toward, strict=True))
            height = np.sqrt(u * u + v * v + w * w) - nearest(radii, u, v, w)
            np.minimum(clear, 0.5 + height * np.float32(1 / (softness * (0.02 + 0.35 * distance))), out=clear)
        return _spread(np.clip(clear, 0, 1), known, hits.u.shape)


def _spread(values: np.ndarray, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Puts values (..., K) at the pixels `flat`; 0 elsewhere."""
    planes = np.zeros((*values.shape[:-1], shape[0] * shape[1]), np.float32)
    planes[..., flat] = values
    return planes.reshape(*values.shape[:-1], *shape)


def _march(view: LifeView, dx: np.ndarray, dy: np.ndarray, radii: np.ndarray, reach: float):
    """Returns (u, v, w, cover, normal) of the lines of sight at (dx, dy) from the center."""
    t = view.turning
    at_u, at_v, at_w = t.direction_back(dx, dy, np.float32(0))
    along = [np.float32(d) for d in t.direction_back(0.0, 0.0, 1.0)]
    across = dx * dx + dy * dy
    z = np.sqrt(np.maximum(reach * reach - across, 0))
    best_z, best, lowest = z.copy(), np.full(z.shape, 9, np.float32), np.full(z.shape, 9, np.float32)
    for step in range(_STEPS + _FINE_STEPS):
        u, v, w = at_u + z * along[0], at_v + z * along[1], at_w + z * along[2]
        radius = (nearest if step < _STEPS else interpolated)(radii, u, v, w)
        height = np.sqrt(across + z * z) - radius
        size = np.abs(height)
        closer = size < best
        best_z, best = np.where(closer, z, best_z), np.where(closer, size, best)
        np.minimum(lowest, height, out=lowest)
        z -= np.float32(_STRIDE) * height
    u, v, w = at_u + best_z * along[0], at_v + best_z * along[1], at_w + best_z * along[2]
    cover = np.clip(1.25 - np.maximum(lowest, 0) * np.float32(1 / view.pixel), 0, 1)
    return u + CENTER[0], v + CENTER[1], w + CENTER[2], cover, _normals(view, radii, u, v, w)


def _normals(view: LifeView, radii: np.ndarray, u, v, w) -> np.ndarray:
    """Normals in the upright view of places relative to the center, from the slope of the surface."""
    step = np.float32(max(_SLOPE_STEP, 0.8 * view.pixel))

    def height(u, v, w):
        return np.sqrt(u * u + v * v + w * w) - interpolated(radii, u, v, w)

    gradient = [
        height(u + step, v, w) - height(u - step, v, w),
        height(u, v + step, w) - height(u, v - step, w),
        height(u, v, w + step) - height(u, v, w - step),
    ]
    nu, nv, nw = gradient
    x, y, z = view.turning.turned(nu, nv + PIVOT_V, nw + PIVOT_DEPTH)
    y = y - PIVOT_V
    scale = 1 / np.sqrt(x * x + y * y + z * z + np.float32(1e-12))
    return np.stack([x * scale, y * scale, z * scale])
