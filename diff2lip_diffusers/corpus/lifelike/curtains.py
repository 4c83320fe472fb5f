"""Draws long hair: the part behind head and shoulders, and locks that fall before cheeks and shoulders."""

from functools import lru_cache

import numpy as np

from ..brushes import Canvas, Plane, bump, color, inside, paint, plane_noise, smooth, tint
from ..hair import CUTS
from ..identity import Identity
from .head_rays import LifeView
from .key_light import KeyLight, diffuse

_SHEET = (160, 1024)


@lru_cache(maxsize=8)
def _sheet(identity: Identity) -> np.ndarray:
    """Strands that hang: rows are 1.6 face units down, columns 1.6 across; float32 (2, rows, columns)."""
    rng = np.random.default_rng([identity.seed, 0x4A4])
    fine = plane_noise(rng, _SHEET, (46, 4.0)) + 0.7 * plane_noise(rng, _SHEET, (80, 9))
    locks = plane_noise(rng, _SHEET, (60, 34)) + 0.6 * plane_noise(rng, _SHEET, (50, 70))
    return np.stack([fine, locks])


def _strands(identity: Identity, x: Plane, y: Plane) -> tuple[Plane, Plane]:
    sheet = _sheet(identity)
    rows, columns = _SHEET
    row = np.clip((y + 0.6) * (rows / 1.6), 0, rows - 1).astype(np.int32)
    column = np.clip(np.mod((x + 0.8) * (columns / 1.6), columns), 0, columns - 1).astype(np.int32)
    index = row * columns + column
    return sheet[0].ravel().take(index), sheet[1].ravel().take(index)


def _colors(
    identity: Identity, light: KeyLight, normal: np.ndarray, fine: Plane, locks: Plane, shadow: float
) -> Canvas:
    base = color(identity.hair) + 0.012
    lit = diffuse(light, normal, shadow, 0.8)
    shade = np.clip(0.74 + 0.16 * fine + 0.16 * locks, 0.2, 1.5)
    nx, ny, nz = normal
    lx, ly, lz = light.direction
    shine = bump(ny - 0.25 * lx * nx + 0.05 * fine, -0.1 + 0.3 * ly, 0.22) * np.clip(nz, 0, 1)
    return np.clip(base * lit * shade + (0.22 * base + 0.03) * light.key * shine * shadow, 0, 1)


def paint_hair_behind_life(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints the hair behind head and shoulders; `light` is in the upright view."""
    identity = view.identity
    cut = CUTS.get(identity.hair_style)
    if cut is None or cut.back is None:
        return
    region = view.region_upright(-0.85, -0.62, 0.85, cut.back + 0.15)
    if region.empty:
        return
    x, y = view.upright(region)
    middle = view.turning.turned(0.0, 0.1, -0.12)[0]
    x = x - middle * smooth(1.2, 0.0, y)
    wave = cut.wave * 0.20 * np.sin(y * 21 + identity.seed) + 0.012 * np.sin(13 * y + 2 * identity.seed)
    half = (0.425 + 0.55 * cut.volume * identity.hair_volume) * identity.face_width
    half = half + 0.06 * smooth(-0.2, 0.7, y) * (cut.back > 0.5) + wave * np.sign(x)
    fine, locks = _strands(identity, x + wave, y)
    ends = cut.back + 0.05 * locks + 0.02 * fine - y
    distance = np.minimum(half - np.abs(x) + 0.012 * locks, ends * 0.5)
    top = half * np.sqrt(np.clip(1 - (np.minimum(y + 0.05, 0) * (1 / 0.56)) ** 2, 0, 1))
    distance = np.minimum(distance, top - np.abs(x))
    t = np.clip(x / half, -1, 1)
    normal = np.stack([0.9 * t + 0.2 * locks, 0.1 + 0 * t, np.sqrt(1 - 0.8 * t * t)])
    normal /= np.sqrt((normal**2).sum(axis=0))
    colors = _colors(identity, light, normal, fine, locks, 0.5) * (0.40 + 0.45 * smooth(0.25, 0.5, np.abs(x)))
    paint(region.of(canvas), colors, view.covered(distance))


def paint_locks(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints locks that fall before cheeks and shoulders; `light` is in the upright view."""
    identity = view.identity
    cut = CUTS.get(identity.hair_style)
    if cut is None or cut.back is None or identity.life.locks == "none":
        return
    low = cut.back - 0.05 if identity.life.locks == "shoulders" else min(0.40, cut.back)
    for side in (-1, 1):
        _paint_lock(canvas, view, light, side, low)


def _paint_lock(canvas: Canvas, view: LifeView, light: KeyLight, side: int, low: float) -> None:
    identity = view.identity
    seed = identity.seed * 2 + (side > 0)
    rng = np.random.default_rng([seed, 0x10C])
    out = 0.385 * identity.face_width + 0.02
    half = float(rng.uniform(0.045, 0.085))
    inward = float(rng.uniform(0.0, 0.055)) * (identity.life.locks == "cheeks") + 0.03
    anchors = [view.turning.turned(side * (out - half + 0.02 - inward), v, 0.06) for v in (-0.30, 0.1, 0.45)]
    region = view.region_upright(
        min(a[0] for a in anchors) - 0.25, -0.34, max(a[0] for a in anchors) + 0.25, low + 0.1
    )
    if region.empty or anchors[1][2] < -0.16:
        return
    x, y = view.upright(region)
    wave = float(rng.uniform(0.004, 0.022)) * np.sin(y * float(rng.uniform(7, 16)) + seed)
    hang = smooth(0.3, 0.9, y)
    middle = np.interp(y.ravel(), [a[1] for a in anchors], [a[0] for a in anchors]).reshape(y.shape).astype(np.float32)
    middle = middle * (1 - 0.35 * hang) + 0.35 * hang * side * 0.36 + wave
    away = float(smooth(0.10, 0.45, side * view.sin_yaw))  # a lock on the far side is behind the face
    middle = middle + side * 0.07 * away
    middle = middle + side * 0.03 * smooth(-0.05, -0.34, y)
    fine, locks = _strands(identity, x - middle + side, y)
    width = half * (0.55 + 0.45 * smooth(-0.34, 0.05, y)) * (1 - 0.75 * smooth(low - 0.35, low + 0.05, y))
    edge = width - np.abs(x - middle) + 0.006 * fine + 0.010 * locks
    alpha = (
        inside(edge, 1.5 * view.pixel)
        * smooth(-0.34, -0.24, y)
        * inside(low + 0.03 * fine - y, 4 * view.pixel)
        * (1 - away)
    )
    t = np.clip((x - middle) / np.maximum(width, 0.01), -1, 1)
    normal = np.stack([0.75 * t + 0.25 * side + 0.15 * locks, 0.12 * np.sin(9 * y + seed), np.sqrt(1 - 0.6 * t * t)])
    normal /= np.sqrt((normal**2).sum(axis=0))
    part = region.of(canvas)
    shade = (
        inside(width + 0.02 - np.abs(x - middle - 0.02 * side), 0.05)
        * smooth(-0.3, -0.1, y)
        * smooth(low, low - 0.1, y)
    )
    tint(part, np.float32(0.72), (0.7 * (1 - away)) * shade)
    paint(part, _colors(identity, light, normal, fine, locks, 0.9), alpha)
