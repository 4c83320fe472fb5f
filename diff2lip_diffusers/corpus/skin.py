"""Draws the skin of a face, once per person: colors, relief, nose, brows and beard."""

from functools import lru_cache

import numpy as np

from .brushes import Plane, blob, bump, color, paint, plane_noise, rgb, smooth, tint
from .head_view import CHIN_V, MOUTH_V, NOSE_BASE_V
from .identity import Identity

LOW_U, HIGH_U, LOW_V, HIGH_V = -0.62, 0.62, -0.78, 0.68
_DETAIL = 1.6  # entries per pixel
EYE_U, EYE_V, BROW_V = 0.172, -0.055, -0.172


class Skin:
    """Color and relief by place on the head.

    Attributes:
        entries: float32 (rows, columns, 5): red, green, blue in [0, 1], the relief's slope in u and in v.
    """

    def __init__(self, entries: np.ndarray):
        self.entries = np.ascontiguousarray(entries)
        rows, columns = entries.shape[:2]
        self._scale = (columns - 1) / (HIGH_U - LOW_U), (rows - 1) / (HIGH_V - LOW_V)

    def at(self, u: Plane, v: Plane) -> np.ndarray:
        """The entries (5, H, W) at places on the head, bilinearly interpolated."""
        rows, columns = self.entries.shape[:2]
        x = np.clip((u - LOW_U) * self._scale[0], 0, columns - 1.01)
        y = np.clip((v - LOW_V) * self._scale[1], 0, rows - 1.01)
        left, top = x.astype(np.int32), y.astype(np.int32)
        tx, ty = (x - left).reshape(-1, 1), (y - top).reshape(-1, 1)
        first = (top * columns + left).ravel()
        table = self.entries.reshape(rows * columns, -1)
        upper, lower = table.take(first, axis=0), table.take(first + columns, axis=0)
        upper += tx * (table.take(first + 1, axis=0) - upper)
        lower += tx * (table.take(first + columns + 1, axis=0) - lower)
        upper += ty * (lower - upper)
        return upper.T.reshape(-1, *u.shape)


@lru_cache(maxsize=8)
def paint_skin(identity: Identity, size_px: int) -> Skin:
    """Returns the skin of a person for frames of `size_px`."""
    columns, rows = (int(_DETAIL * 0.645 * size_px * span) for span in (HIGH_U - LOW_U, HIGH_V - LOW_V))
    u = np.linspace(LOW_U, HIGH_U, columns, dtype=np.float32)[None]
    v = np.linspace(LOW_V, HIGH_V, rows, dtype=np.float32)[:, None]
    rng = np.random.default_rng([identity.seed, 0x5C1])
    height = relief(identity, u, v)
    step_u, step_v = u[0, 1] - u[0, 0], v[1, 0] - v[0, 0]
    slope_v, slope_u = np.gradient(height, step_v, step_u)
    paints = np.broadcast_to(color(identity.skin), (3, rows, columns)).copy()
    _paint_complexion(paints, identity, u, v, rng)
    paint_nose(paints, identity, u, v)
    _paint_beard(paints, identity, u, v, rng)
    _paint_brows(paints, identity, u, v, rng)
    entries = np.concatenate([np.clip(paints, 0, 1), slope_u[None], slope_v[None]])
    return Skin(entries.transpose(1, 2, 0).astype(np.float32))


def pair(u, v, center: tuple[float, float], width: tuple[float, float]) -> Plane:
    """A soft spot on each side of the face."""
    return blob(np.abs(u), v, center, width)


def relief(identity: Identity, u, v) -> Plane:
    """Returns the height of the face above its ellipsoid, in face units."""
    wide, tip = identity.nose_width, nose_tip_v(identity)
    side = 0.030 * wide + 0.022 * smooth(-0.08, tip, v)
    rise = smooth(-0.15, -0.02, v) * 0.030 + smooth(-0.06, tip, v) * 0.045
    ridge = rise * np.exp(-((u / side) ** 2) / 2) * smooth(tip + 0.055, tip + 0.005, v)
    eye_v = EYE_V + identity.eye_height
    return (
        ridge
        + 0.022 * blob(u, v, (0, 0.0), (0.030, 0.10))
        + 0.030 * blob(u, v, (0, tip), (0.040 * wide, 0.034))
        + 0.026 * pair(u, v, (0.056 * wide, tip + 0.016), (0.021 * wide, 0.022))
        + 0.016 * pair(u, v, (0.15, eye_v - 0.115), (0.11, 0.026))
        - 0.040 * pair(u, v, (0.150, eye_v - 0.005), (0.085, 0.055))
        + 0.022 * pair(u, v, (EYE_U, eye_v), (0.062, 0.042))
        + 0.030 * identity.cheek * pair(u, v, (0.235, 0.085), (0.085, 0.070))
        + 0.022 * blob(u, v, (0, MOUTH_V), (0.125, 0.075))
        + 0.026 * blob(u, v, (0, CHIN_V - 0.030), (0.080, 0.040))
        - 0.007 * blob(u, v, (0, (NOSE_BASE_V + MOUTH_V) / 2 - 0.01), (0.011, 0.035))
        - (0.003 + 0.006 * identity.age) * fold(u, v)
    )


def nose_tip_v(identity: Identity) -> float:
    return 0.147 + 0.05 * (identity.nose_length - 1)


def fold(u, v) -> Plane:
    """The line from the nostril to the corner of the mouth."""
    line = 0.080 + 0.60 * (v - 0.18)
    return bump(np.abs(u) - line, 0, 0.017) * smooth(0.14, 0.19, v) * smooth(0.31, 0.23, v)


def _paint_complexion(paints: np.ndarray, identity: Identity, u, v, rng: np.random.Generator) -> None:
    """Paints blush, freckles, dark eye sockets and an uneven skin color."""
    shape = paints.shape[1:]
    grain = 0.018 * plane_noise(rng, shape, (26, 26)) + 0.012 * plane_noise(rng, shape, (3.5, 3.5))
    paints *= 1 + grain
    rosy, shade = rgb(1.05, 0.80, 0.80), rgb(0.74, 0.60, 0.58)
    cheeks = pair(u, v, (0.225, 0.105), (0.085, 0.065)) + 0.5 * blob(u, v, (0, 0.15), (0.05, 0.04))
    tint(paints, rosy, np.clip(0.42 * identity.blush * cheeks, 0, 1))
    eye_v = EYE_V + identity.eye_height
    tint(paints, shade, 0.55 * pair(u, v, (0.152, eye_v - 0.012), (0.082, 0.038)))
    tint(paints, shade, 0.40 * pair(u, v, (0.148, eye_v - 0.052), (0.055, 0.045)))
    tint(paints, shade, (0.10 + 0.22 * identity.age) * pair(u, v, (0.150, eye_v + 0.052), (0.055, 0.014)))
    tint(paints, shade, (0.06 + 0.30 * identity.age) * fold(u, v))
    if identity.age > 0.45:
        lines = sum(bump(v + 0.02 * np.cos(5 * u), place, 0.0035) for place in (-0.25, -0.285, -0.32))
        tint(paints, shade, 0.3 * (identity.age - 0.3) * lines * bump(u, 0, 0.13))
    if identity.freckles:
        spots = smooth(0.8, 1.5, plane_noise(rng, shape, (3.6, 3.6)))
        where = pair(u, v, (0.17, 0.08), (0.11, 0.06)) + 0.6 * blob(u, v, (0, 0.08), (0.06, 0.06))
        tint(paints, rgb(0.72, 0.58, 0.48), 0.5 * identity.freckles * spots * where)


def paint_nose(paints: np.ndarray, identity: Identity, u, v) -> None:
    """Paints nostrils, the crease beside them, and the soft shadow below."""
    wide, tip = identity.nose_width, nose_tip_v(identity)
    dark = color(identity.skin) * rgb(0.30, 0.18, 0.17)
    shade = rgb(0.72, 0.56, 0.53)
    tint(paints, shade, 0.75 * blob(u, v, (0, tip + 0.062), (0.058 * wide, 0.016)))
    tint(paints, shade, 0.35 * pair(u, v, (0.086 * wide, tip + 0.022), (0.009, 0.022)))
    tint(paints, shade, 0.30 * pair(u, v, (0.050, -0.045), (0.018, 0.045)))
    tilted = v - 0.35 * (np.abs(u) - 0.030 * wide)
    nostril = np.exp(
        -((((np.abs(u) - 0.031 * wide) / (0.017 * wide)) ** 2 + ((tilted - tip - 0.040) / 0.0085) ** 2) ** 2)
    )
    paint(paints, dark, 0.85 * nostril)


def _paint_brows(paints: np.ndarray, identity: Identity, u, v, rng: np.random.Generator) -> None:
    """Brows of many short hairs, thick at the nose and thin at the temple."""
    t = (np.abs(u) - 0.075) / 0.195  # 0 at the inner end, 1 at the outer
    arch = 0.028 * identity.brow_arch * (1 - ((t - 0.55) / 0.75) ** 2)
    middle = BROW_V - identity.brow_height + identity.eye_height - arch + 0.012 + 0.10 * identity.eye_slant * t
    half = identity.brow_thickness * (0.0205 * smooth(-0.08, 0.12, t) * (1 - 0.72 * smooth(0.35, 1.05, t)))
    hairs = plane_noise(rng, paints.shape[1:], (5, 2.2)) + plane_noise(rng, paints.shape[1:], (8, 3.5))
    edge = half + 0.0013 * hairs - np.abs(v - middle)
    ends = smooth(-0.10, 0.04, t) * smooth(1.06, 0.9, t)
    alpha = smooth(-0.007, 0.008, edge) * ends * np.clip(0.83 + 0.07 * hairs, 0, 1)
    paint(paints, color(identity.brow) * np.clip(1 + 0.12 * hairs, 0.6, 1.5), alpha)


def _paint_beard(paints: np.ndarray, identity: Identity, u, v, rng: np.random.Generator) -> None:
    """Paints stubble, mustache, goatee or full beard; lips are painted over it later."""
    if identity.beard == "none":
        return
    shape = paints.shape[1:]
    side = np.abs(u)
    # Distance of a place from the edge of each part of a beard, positive inside, in face units.
    arc = 0.262 - 0.10 * side - 3.2 * np.maximum(side - 0.075, 0) ** 2  # middle of the mustache
    moustache = np.minimum(0.030 - np.abs(v - arc - 0.55 * np.maximum(side - 0.06, 0)), (0.150 - side) * 0.8)
    round_chin = 0.150 - np.hypot(side, 0.95 * (v - 0.335))
    ring = np.minimum(round_chin, np.maximum(side - 0.105, (v - 0.345) * 0.9))
    ring = np.minimum(ring, (v - 0.262) * 0.8)
    cheek_line = 0.255 - 0.95 * np.clip(side - 0.15, 0, 0.115) - 2.6 * np.clip(side - 0.265, 0, 1)
    full = np.minimum(v - cheek_line, np.maximum(side - 0.125 + 0.2 * (v - 0.27), (v - 0.352) * 0.9))
    spread = 0.040 if identity.beard == "stubble" else 0.014
    moustache, ring, full = (smooth(-spread, spread, part) for part in (moustache, ring, full))
    soft = plane_noise(rng, shape, (7, 7))
    hairs = 0.6 * plane_noise(rng, shape, (7, 1.8)) + 0.4 * plane_noise(rng, shape, (3, 1.6))
    areas = {
        "stubble": np.maximum(full, moustache), "moustache": moustache,
        "goatee": np.maximum(ring, moustache), "full": np.maximum(np.maximum(full, ring), moustache),
    }  # fmt: skip
    area = areas[identity.beard]
    strength = 0.34 if identity.beard == "stubble" else 0.93
    alpha = smooth(0.12, 0.75, area + 0.13 * hairs + 0.08 * soft) * strength
    shades = color(identity.brow) * np.clip(1.02 + 0.20 * hairs + 0.08 * soft, 0.5, 1.6)
    paint(paints, shades, alpha)
