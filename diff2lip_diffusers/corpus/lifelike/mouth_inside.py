"""Draws the lips of a lifelike mouth and what is inside: teeth and tongue at every opening."""

import numpy as np

from ..brushes import Canvas, Plane, between, blob, bump, color, inside, paint, plane_noise, rgb, smooth, tint
from ..head_view import MOUTH_V
from ..identity import Identity
from ..mouth import GAP, Lips, Mouth, lip_curves, opening_cover
from .head_rays import LifeView
from .key_light import KeyLight, highlight

_TEETH_DEPTH, _TONGUE_DEPTH = 0.030, 0.055  # behind the lips, in face units
# Right edges of the upper teeth from the middle on, in face units, and their lengths.
_UPPER_EDGES = np.array([0.030, 0.055, 0.078, 0.098, 0.115, 0.130])
_UPPER_LENGTHS = np.array([1.0, 0.90, 0.98, 0.86, 0.80, 0.74])
_LOWER_EDGES = np.array([0.019, 0.039, 0.060, 0.080, 0.099, 0.117])


def paint_lifelike_mouth(
    canvas: Canvas, view: LifeView, mouth: Mouth, light: KeyLight, lit: np.ndarray, normal: np.ndarray, places, seen
) -> None:
    """Paints the mouth over the skin of its region.

    Args:
        canvas: the region's part of the frame.
        view: of the head.
        mouth: its shape.
        light: in the upright view.
        lit: the light on the region, (3, H, W).
        normal: of the region, (3, H, W).
        places: (u, v) of the region.
        seen: coverage of the region's pixels by the front of the head.
    """
    u, v = places
    identity, pixel = view.identity, 1.15 * view.pixel
    lips = lip_curves(identity, mouth, u)
    _paint_folds(canvas, lips, mouth, u, v, seen)
    within = inside(lips.half_width - np.abs(u), pixel) * seen
    shape = between(v, lips.outer_top, lips.outer_bottom, 1.6 * pixel) * within
    paint(canvas, _lip_colors(view, lips, mouth, u, v, light, lit, normal), shape)
    line = bump(v - lips.inner_top, 0, 0.0042) * within * (1 - smooth(0, 0.2, mouth.opening))
    tint(canvas, rgb(0.40, 0.26, 0.26), 0.9 * line * (1 - 0.4 * lips.t * lips.t))
    if mouth.opening > 0:
        opening = opening_cover(lips, u, v, pixel) * seen
        paint(canvas, _inside_colors(view, lips, mouth, u, v, lit, pixel), opening)


def _paint_folds(canvas: Canvas, lips: Lips, mouth: Mouth, u: Plane, v: Plane, seen: Plane) -> None:
    """Paints soft shadows below the lower lip, at the corners, and in the cheek folds of a wide or open mouth."""
    shade = rgb(0.72, 0.57, 0.54)
    middle = bump(u, 0, 0.62 * lips.half_width)
    below = v - lips.outer_bottom
    tint(canvas, shade, 0.40 * seen * middle * bump(below, 0.012, 0.014))
    corner_v = MOUTH_V + 0.10 * GAP * mouth.opening - 0.007 - 0.030 * (mouth.width - 0.5)
    side = np.abs(u)
    tint(canvas, shade, 0.55 * seen * blob(side, v, (lips.half_width + 0.006, corner_v), (0.012, 0.014)))
    fold = side - (lips.half_width + 0.052 - 0.35 * np.abs(v - corner_v))
    strength = 0.30 * max(0.0, mouth.width - 0.45) + 0.10 * mouth.opening * (1 - mouth.rounding)
    tint(canvas, shade, seen * strength * bump(fold, 0, 0.013) * bump(v, corner_v - 0.02, 0.045))


def _lip_colors(view: LifeView, lips: Lips, mouth: Mouth, u, v, light: KeyLight, lit, normal) -> Canvas:
    """Returns the colors of the lips: full in the middle, with fine creases across, and wet or matte."""
    identity = view.identity
    up = np.clip((v - lips.outer_top) / np.maximum(lips.inner_top - lips.outer_top, 1e-3), 0, 1)
    low = np.clip((v - lips.inner_bottom) / np.maximum(lips.outer_bottom - lips.inner_bottom, 1e-3), 0, 1)
    on_lower = (v >= (lips.inner_top + lips.inner_bottom) / 2).astype(np.float32)
    # The roundness of the lips tilts their normals: the upper lip faces down, the lower lip's upper part faces up.
    tilt = (1 - on_lower) * (0.10 + 0.55 * up) + on_lower * (-0.62 + 1.25 * low)
    creases = _creases(u / lips.half_width, on_lower, identity.seed)
    shade = (
        1
        - 0.32 * (1 - on_lower) * up
        - 0.30 * on_lower * smooth(0.55, 1.05, low)
        + 0.06 * on_lower * bump(low, 0.35, 0.2)
    )
    shade = shade * (1 - 0.13 * smooth(0.45, 1.0, np.abs(lips.t))) * (1 + 0.055 * creases)
    rim = smooth(0.16, 0.0, np.where(on_lower > 0, 1 - low, up))
    base = color(identity.lips)
    base = base + 0.30 * rim * (1 - identity.life.make_up) * (color(identity.skin) * 0.86 - base)
    round_normal = np.stack([normal[0] + 0.25 * u / lips.half_width, normal[1] + tilt, normal[2]])
    round_normal /= np.sqrt((round_normal**2).sum(axis=0) + 1e-6)
    wet = 0.5 + 1.1 * identity.life.make_up + 0.5 * mouth.rounding
    return base * lit * shade + highlight(light, round_normal, 1 + 0.35 * creases, 1.6) * wet


def _creases(t: Plane, on_lower: Plane, seed: int) -> Plane:
    """Fine lines across the lips, around 0."""
    rng = np.random.default_rng([seed, 0x11B])
    lines = plane_noise(rng, (2, 256), (1.01, 2.2)) + 0.7 * plane_noise(rng, (2, 256), (1.01, 5))
    column = np.clip((t * 0.5 + 0.5) * 255, 0, 255).astype(np.int32)
    return lines[on_lower.astype(np.int32), column]


def _inside_colors(view: LifeView, lips: Lips, mouth: Mouth, u, v, lit, pixel: float) -> Canvas:
    """Returns the colors between the lips: dark cavity, tongue, gums and teeth, which lie behind the lips."""
    identity, gap = view.identity, GAP * mouth.opening
    du, dv, dw = view.turning.direction_back(0.0, 0.0, 1.0)
    slant_u, slant_v = du / max(dw, 0.3), dv / max(dw, 0.3)
    mean = lit.mean(axis=(1, 2), keepdims=True)
    deep = smooth(0.0, 0.055, np.minimum(v - lips.inner_top, lips.inner_bottom - v))
    colors = color(identity.cavity) * (1.15 - 0.45 * deep) * (0.4 + 0.6 * mean)
    _paint_tongue(colors, identity, mouth, lips, (u - _TONGUE_DEPTH * slant_u, v), gap, mean, pixel)
    at = u - _TEETH_DEPTH * slant_u, v - 0.4 * _TEETH_DEPTH * slant_v
    _paint_lower_teeth(colors, identity, mouth, lips, at, mean, pixel)
    _paint_upper_teeth(colors, identity, mouth, lips, at, gap, mean, pixel)
    tint(colors, np.float32(0.72), smooth(0.012, 0.0, v - lips.inner_top))
    tint(colors, np.float32(0.78), smooth(0.008, 0.0, lips.inner_bottom - v))
    return colors


def _paint_upper_teeth(colors, identity: Identity, mouth: Mouth, lips: Lips, at, gap: float, mean, pixel) -> None:
    u, v = at
    side = np.abs(u)
    edges = _UPPER_EDGES * identity.life.teeth_width
    number = np.searchsorted(edges, side.ravel()).reshape(side.shape).clip(0, 5)
    shown = (0.013 + 0.031 * mouth.teeth) * (0.55 + 0.45 * smooth(0.0, 0.2, mouth.opening))
    top = MOUTH_V - 0.34 * gap * (1 - 0.45 * (1 - mouth.teeth))  # the teeth stay in place when the lip is lowered
    root = np.maximum(top, lips.inner_top) - (0.006 * mouth.teeth)
    starts = np.concatenate([[0.0], edges])[number]
    width = edges[number] - starts
    place = np.clip((side - starts) / width, 0, 1)
    rounded = 1 - 0.14 * np.abs(2 * place - 1) ** 4
    tips = root + shown * _UPPER_LENGTHS[number].astype(np.float32) * rounded - 0.25 * u * u
    row = between(v, lips.inner_top - 0.01, tips, 1.5 * pixel) * inside(edges[-1] - side, 2 * pixel)
    gaps = bump(np.minimum(place, 1 - place) * width, 0, max(0.0011, 0.28 * pixel))
    round_off = 1 - 0.42 * smooth(0.03, 0.125, side) - 0.10 * np.abs(2 * place - 1) ** 3
    body = 1 - 0.10 * smooth(0.5, 1.0, (v - root) / np.maximum(tips - root, 1e-3))
    tone = (
        color(identity.teeth)
        * (0.90 + 0.02 * np.sin(5 * number + identity.seed))
        * round_off
        * body
        * (1 - 0.36 * gaps)
    )
    paint(colors, tone * (0.34 + 0.72 * mean), row)
    gum = between(
        v,
        lips.inner_top - 0.01,
        root + 0.005 * np.abs(2 * place - 1) ** 2 + 0.010 * identity.life.gum * mouth.teeth,
        1.5 * pixel,
    )
    paint(colors, rgb(0.66, 0.33, 0.34) * (0.25 + 0.6 * mean), 0.8 * gum * smooth(0.4, 0.8, mouth.teeth) * row)


def _paint_lower_teeth(colors, identity: Identity, mouth: Mouth, lips: Lips, at, mean, pixel) -> None:
    u, v = at
    side = np.abs(u)
    number = np.searchsorted(_LOWER_EDGES, side.ravel()).reshape(side.shape).clip(0, 5)
    starts = np.concatenate([[0.0], _LOWER_EDGES])[number]
    width = _LOWER_EDGES[number] - starts
    place = np.clip((side - starts) / width, 0, 1)
    shown = (0.008 + 0.012 * mouth.jaw) * smooth(0.12, 0.55, mouth.opening) * (1 - 0.75 * mouth.rounding)
    tips = lips.inner_bottom - shown * (1 - 4.0 * u * u) * (1 - 0.16 * np.abs(2 * place - 1) ** 4)
    row = between(v, tips, lips.inner_bottom + 0.01, 1.6 * pixel) * inside(0.85 * lips.half_width - side, 4 * pixel)
    gaps = bump(np.minimum(place, 1 - place) * width, 0, max(0.001, 0.28 * pixel))
    tone = color(identity.teeth) * 0.82 * (1 - 0.35 * smooth(0.03, 0.11, side)) * (1 - 0.42 * gaps)
    paint(colors, tone * (0.32 + 0.70 * mean), 0.95 * row * smooth(0, 0.006, shown) * (1 - 0.7 * mouth.tongue))


def _paint_tongue(colors, identity: Identity, mouth: Mouth, lips: Lips, at, gap: float, mean, pixel) -> None:
    """Paints the tongue: a low mound at rest, at or between the teeth when raised, wet in the light."""
    u, v = at
    tip = lips.inner_bottom - gap * (0.20 + 0.52 * mouth.tongue) * (1 - 0.30 * mouth.rounding)
    half = lips.half_width * (0.70 + 0.06 * mouth.tongue)
    mound = tip + 0.55 * gap * (np.abs(u) * (1 / half)) ** 2.6
    cover = inside(v - mound, 2.0 * pixel)
    near = np.clip((v - mound) / max(gap, 0.02), 0, 1)
    groove = 1 - 0.18 * bump(u, 0, 0.008) * smooth(0.02, 0.1, near)
    shade = (0.48 + 0.26 * mouth.tongue + 0.14 * smooth(0.03, 0.3, near)) * groove * (0.3 + 0.7 * mean)
    wet = (
        0.22
        * bump(near, 0.10, 0.05)
        * (bump(u, -0.02, 0.012) + bump(u, 0.025, 0.009))
        * smooth(0.1, 0.4, mouth.opening)
    )
    paint(colors, color(identity.tongue) * shade + wet * mean, (0.70 + 0.28 * mouth.tongue) * cover)
