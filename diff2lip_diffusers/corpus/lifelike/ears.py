"""Draws ears and glasses of a lifelike person."""

import numpy as np

from ..brushes import Canvas, Plane, bump, color, inside, paint, rgb, smooth, tint
from ..head_view import Region
from ..scene import COVERED_EARS, lens_edge
from ..skin import EYE_V
from .head_rays import LifeView
from .key_light import KeyLight, diffuse
from .turning import PIVOT_DEPTH, PIVOT_V

_ROOT = (0.372, -0.005, -0.035)  # of the right ear, for a face of width 1
_BACKWARD, _DOWN = (0.52, -0.05, -0.85), (-0.06, 0.99, 0.06)  # directions in the ear's plane


def paint_ears_behind(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints the ears that the head will cover in part."""
    for side in (-1, 1):
        _paint_ear(canvas, view, light, side, 1.0)


def paint_ear_before(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints the ear on the near side of a turned head, over skin and hair."""
    side = -1 if view.sin_yaw > 0 else 1
    _paint_ear(canvas, view, light, side, float(smooth(0.04, 0.14, abs(view.sin_yaw))))


def _paint_ear(canvas: Canvas, view: LifeView, light: KeyLight, side: int, shown: float) -> None:
    identity = view.identity
    if identity.hair_style in COVERED_EARS or not shown:
        return
    size = 0.92 * identity.ear_size
    x0, y0, _ = view.turning.turned(side * _ROOT[0] * identity.face_width, _ROOT[1], _ROOT[2])
    a, b = (view.turning.turned(side * d[0], d[1] + PIVOT_V, d[2] + PIVOT_DEPTH) for d in (_BACKWARD, _DOWN))
    ax, ay, bx, by = a[0], a[1] - PIVOT_V, b[0], b[1] - PIVOT_V
    area = ax * by - ay * bx
    if side * area < 0.08:  # seen from its edge
        return
    region = view.region_upright(x0 - 0.2, y0 - 0.22, x0 + 0.2, y0 + 0.22)
    if region.empty:
        return
    x, y = view.upright(region)
    x, y = x - x0, y - y0
    back, down = (by * x - bx * y) / (area * size), (ax * y - ay * x) / (area * size)
    wide = 0.075 - 0.018 * smooth(-0.02, 0.1, down)
    far = np.hypot((back - 0.045 - 0.10 * np.minimum(down, 0) ** 2) / wide, down / 0.125)
    rim, bowl = bump(far, 0.84, 0.13), bump(np.hypot((back - 0.035) / 0.032, (down - 0.02) / 0.055), 0.3, 0.55)
    fold = bump(np.hypot((back - 0.042) / 0.040, (down + 0.01) / 0.085), 0.95, 0.16) * smooth(0.06, -0.03, down)
    shade = 0.84 + 0.20 * rim + 0.10 * fold - 0.24 * bowl - 0.16 * smooth(0.75, 0.62, far) * smooth(0.05, -0.02, down)
    nx = side * (0.65 + 0.2 * rim) * (1 - abs(view.sin_yaw)) + 0.3 * (back - 0.04) / 0.06 * side
    normal = np.stack([nx, 0.25 * down / 0.1, 0.6 + 0.3 * rim])
    normal /= np.sqrt((normal**2).sum(axis=0))
    skin = color(identity.skin) * rgb(1.02, 0.86, 0.84)
    alpha = shown * inside((1 - far) * 0.07, 1.3 * view.pixel) * smooth(-0.012, 0.008, back)
    paint(region.of(canvas), skin * shade * diffuse(light, normal, 0.85), alpha)


def paint_lifelike_glasses(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints glasses before the face."""
    identity = view.identity
    if identity.glasses == "none":
        return
    middle_v = EYE_V + identity.eye_height + 0.010
    depth, bend = 0.435, 0.55
    corners = [
        view.upright_to_pixel(*view.turning.turned(u, v, depth - bend * u * u)[:2])
        for u in (-0.34, 0, 0.34) for v in (middle_v - 0.14, middle_v + 0.15)
    ]  # fmt: skip
    xs, ys = zip(*corners, strict=True)
    region = Region(min(xs) - 2, min(ys) - 2, max(xs) + 2, max(ys) + 2, view.size_px)
    if region.empty:
        return
    u, v = _on_bent_plane(view, region, depth, bend)
    part, pixel = region.of(canvas), 1.3 * view.pixel
    x, y = np.abs(u) - 0.168 * identity.eye_distance, v - middle_v
    lens = lens_edge(identity.glasses, 1.06 * x, 1.06 * y)
    tint(
        part,
        rgb(0.80, 0.76, 0.75),
        0.45 * inside(0.010 - np.abs(lens_edge(identity.glasses, x, y - 0.018)), 5 * pixel),
    )
    _paint_temples(canvas, view, light, middle_v)
    glare = smooth(0.02, 0.05, np.abs(u - 0.6 * y - 0.10 * light.direction[0] * 3) % 0.34)
    paint(part, light.key + 0.2, (0.05 + 0.07 * light.hardness) * inside(lens, pixel) * (1 - glare))
    thick = 0.0055 + 0.004 * (identity.seed % 3)
    rim = inside(thick - np.abs(lens), pixel)
    bridge = inside(0.006 - np.abs(y + 0.018 + 0.8 * u * u), pixel) * inside(-lens, pixel) * (np.abs(u) < 0.11)
    frame = (
        color(identity.frame)
        * (light.key + light.fill)
        * (0.8 + 0.9 * bump(lens, 0.2 * thick, 0.002) + 0.5 * bump(y, -0.07, 0.02))
    )
    paint(part, frame, np.maximum(rim, bridge))


def _on_bent_plane(view: LifeView, region: Region, depth: float, bend: float) -> tuple[Plane, Plane]:
    """Places (u, v) where the lines of sight meet the surface w = depth - bend u²."""
    x, y = view.upright(region)
    u, v, w = view.turning.back(x, y, np.float32(0))
    along = view.turning.direction_back(0.0, 0.0, 1.0)
    z = (depth - w) / along[2]
    for _ in range(3):
        at_u = u + z * along[0]
        z = (depth - bend * np.minimum(at_u * at_u, 0.12) - w) / along[2]
    return u + z * along[0], v + z * along[1]


def _paint_temples(canvas: Canvas, view: LifeView, light: KeyLight, middle_v: float) -> None:
    """Paints the visible arm of the glasses, from lens to ear."""
    identity = view.identity
    for side in (-1, 1):
        if side * view.sin_yaw > 0.05:
            continue
        x1, y1, _ = view.turning.turned(side * 0.272 * identity.eye_distance, middle_v - 0.02, 0.39)
        x2, y2, _ = view.turning.turned(side * 0.385 * identity.face_width, middle_v - 0.02, 0.0)
        region = view.region_upright(min(x1, x2) - 0.02, min(y1, y2) - 0.02, max(x1, x2) + 0.02, max(y1, y2) + 0.02)
        if region.empty:
            continue
        x, y = view.upright(region)
        dx, dy = x2 - x1, y2 - y1
        t = np.clip(((x - x1) * dx + (y - y1) * dy) / max(dx * dx + dy * dy, 1e-4), 0, 1)
        far = np.hypot(x - x1 - t * dx, y - y1 - t * dy)
        frame = color(identity.frame) * (light.key + light.fill) * 0.9
        paint(region.of(canvas), frame, inside(0.008 - far, 1.3 * view.pixel))
