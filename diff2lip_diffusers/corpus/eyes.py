"""Draws eyes: white, iris, pupil and catchlight between lids that close, with lashes and a crease."""

import numpy as np

from .brushes import Canvas, Plane, between, blob, bump, color, inside, paint, rgb, smooth, tint
from .head_view import HeadView, Region, pull_features
from .skin import EYE_U, EYE_V

_HALF_WIDTH, _UPPER, _LOWER, _IRIS = 0.085, 0.051, 0.029, 0.0415


def paint_eyes(canvas: Canvas, view: HeadView, lit: np.ndarray, head: Region) -> None:
    """Paints both eyes over the skin; `lit` (3, H, W) is the light on the region `head`."""
    identity = view.identity
    size = identity.eye_size
    center_u, center_v = EYE_U * identity.eye_distance, EYE_V + identity.eye_height
    for side in (-1, 1):
        u1, u2 = (side * (center_u + reach * 1.35 * _HALF_WIDTH * size) for reach in (-side, side))
        region = view.region_on_head(u1, center_v - 0.09 * size, u2, center_v + 0.06 * size)
        if region.empty:
            continue
        u, v, _ = view.on_head(*view.upright(region))
        u, v = pull_features(u, v, view)
        outward = (u * side - center_u) / size
        down = (v - center_v) / size - identity.eye_slant * outward
        _paint_eye(region.of(canvas), view, side, outward, down, region.of(lit, head).mean(axis=(1, 2), keepdims=True))


def _paint_eye(canvas: Canvas, view: HeadView, side: int, x: Plane, y: Plane, light: np.ndarray) -> None:
    """Paints an eye; (x, y) are places around its center, x toward the temple, in face units of an average eye."""
    identity, pose, pixel = view.identity, view.pose, view.pixel / view.identity.eye_size
    t = np.clip(x * (1 / _HALF_WIDTH), -1, 1)
    round_off = 1 - t * t
    lower = _LOWER * round_off * (1 + 0.22 * t)
    opened = -_UPPER * identity.lid_height * round_off**0.62 * (1 - 0.13 * t)
    closing = pose.blink + 0.12 * max(0.0, pose.gaze_y) * (1 - pose.blink)
    upper = opened + closing * (0.80 * lower + 0.004 - opened)
    opening = between(y, upper, lower, 1.2 * pixel) * inside(_HALF_WIDTH - np.abs(x), pixel)
    ball = _eyeball(view, side, x, y, upper, light, pixel)
    paint(canvas, ball, opening)
    _paint_lids(canvas, view, x, y, t, upper, lower, opened, pixel)


def _eyeball(view: HeadView, side: int, x, y, upper, light, pixel: float) -> Canvas:
    """Returns the colors of the eyeball without lids."""
    identity, pose = view.identity, view.pose
    white = rgb(0.97, 0.95, 0.93) * (0.30 + 0.70 * light)
    ball = np.broadcast_to(white, (3, *x.shape)) * (1 - 0.34 * smooth(0.3, 1.1, np.abs(x) * (1 / _HALF_WIDTH)))
    tint(ball, rgb(0.92, 0.62, 0.58), bump(x, -1.02 * _HALF_WIDTH, 0.014))
    ix, iy = x - side * 0.026 * pose.gaze_x, y - 0.014 * pose.gaze_y + 0.009
    far = np.hypot(ix, iy)
    iris = color(identity.iris) * (0.45 + 0.55 * light)
    fibres = 1 + 0.10 * np.sin(17 * np.arctan2(iy, ix) + 3 * np.sin(far * 170))
    glow = (0.72 + 0.85 * smooth(-0.02, 0.035, iy) * smooth(0.012, 0.026, far)) * fibres
    shades = iris * glow * (1 - 0.62 * smooth(0.74 * _IRIS, _IRIS, far))
    paint(ball, shades, inside(_IRIS - far, 2 * pixel))
    paint(ball, np.float32(0.03), inside(0.0165 - far, 2 * pixel))
    tint(ball, rgb(0.56, 0.50, 0.52), smooth(0.024, 0.0, y - upper))
    toward = 0.013 * side * (1 if identity.light_x > 0 else -1)
    paint(ball, np.float32(1.0), 0.95 * inside(0.0092 - np.hypot(ix - toward, iy + 0.014), 2 * pixel))
    paint(ball, np.float32(0.9), 0.35 * inside(0.005 - np.hypot(ix + toward, iy - 0.014), 2 * pixel))
    return ball


def _paint_lids(canvas: Canvas, view: HeadView, x, y, t, upper, lower, opened, pixel: float) -> None:
    """Paints lash lines, the wing of lashes at the temple, and the crease of the upper lid."""
    identity, blink = view.identity, view.pose.blink
    dark = color(identity.brow) * 0.22 + color((12, 6, 6)) * 0.8
    within = inside(1.04 * _HALF_WIDTH - np.abs(x), 4 * pixel)
    thick = (0.0062 + 0.0048 * identity.lashes * smooth(-1, 0.8, t)) * (
        0.55 + 0.45 * np.sqrt(np.clip(1.05 - t * t, 0, 1))
    )
    paint(canvas, dark, 0.92 * within * between(y, upper - thick, upper + 0.0025, 1.3 * pixel))
    wing = (x - 0.93 * _HALF_WIDTH) * (1 / 0.018)
    wing_y = -0.006 - 0.013 * wing * (1 - 0.9 * blink) + 0.012 * blink
    tail = np.clip(1 - wing, 0, 1) * smooth(-0.35, 0.1, wing)
    paint(
        canvas,
        dark,
        0.75 * identity.lashes * tail * inside(0.0042 * np.clip(1.2 - wing, 0, 1) - np.abs(y - wing_y), 1.5 * pixel),
    )
    skin = color(identity.skin)
    lower_line = bump(y - lower, 0.002, 0.0036) * within
    paint(canvas, skin * rgb(0.50, 0.34, 0.32), (0.30 + 0.25 * identity.lashes) * lower_line)
    crease = bump(y - opened, -0.021 + 0.004 * blink, 0.0042) * inside(1.12 * _HALF_WIDTH - np.abs(x), 14 * pixel)
    tint(canvas, rgb(0.58, 0.44, 0.42), (0.62 - 0.3 * blink) * crease)
    lid = blob(x, y, (0, -0.045), (0.06, 0.012))
    tint(canvas, np.float32(1.06), 0.8 * lid)
