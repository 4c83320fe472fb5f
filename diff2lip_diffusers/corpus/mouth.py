"""Draws the mouth from six parameters: lips, and inside them teeth, tongue and the dark cavity."""

from typing import NamedTuple

import numpy as np

from .brushes import Canvas, Plane, between, blob, bump, color, inside, paint, rgb, smooth, tint
from .head_view import CHIN_DROP, MOUTH_V, HeadView, Region
from .identity import Identity

GAP = 0.170  # height of the widest opening, in face units (heights of the face box)
_HALF_WIDTH = 0.128


class Mouth(NamedTuple):
    """The shape of a mouth: six numbers from 0 to 1.

    Attributes:
        opening: gap between the inner edges of the lips; 0 is closed.
        width: distance between the corners; 0.5 is neutral.
        rounding: how far the lips are pushed forward and together.
        teeth: how much of the upper teeth is visible in an open mouth.
        tongue: how far the tongue is raised.
        jaw: how far the chin is lowered.
    """

    opening: float = 0.0
    width: float = 0.5
    rounding: float = 0.0
    teeth: float = 0.0
    tongue: float = 0.0
    jaw: float = 0.0


class Lips(NamedTuple):
    """The outline of the lips over a region: v of each edge by column, and the position of the corners."""

    t: Plane  # -1 and 1 at the corners
    outer_top: Plane
    inner_top: Plane
    inner_bottom: Plane
    outer_bottom: Plane
    half_width: float


def check_mouth(mouth) -> Mouth:
    """Returns six numbers as a Mouth.

    Raises:
        ValueError: if there are not six, or one is outside [0, 1].
    """
    values = [float(value) for value in mouth]
    if len(values) != len(Mouth._fields):
        raise ValueError(f"mouth must be the six numbers {', '.join(Mouth._fields)}, got {len(values)}")
    for name, value in zip(Mouth._fields, values, strict=True):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be from 0 to 1, got {value}")
    return Mouth(*values)


def chin_drop(mouth: Mouth) -> float:
    """Returns how far the chin is lowered, in face units: by the jaw, and a little by the opening."""
    return CHIN_DROP * (0.62 * mouth.jaw + 0.38 * mouth.opening)


def mouth_region(view: HeadView) -> Region:
    """Returns a region of pixels that contains the mouth, however far it is open."""
    return view.region_on_head(-0.26, MOUTH_V - 0.12, 0.26, MOUTH_V + 0.26)


def lip_curves(identity: Identity, mouth: Mouth, u: Plane) -> Lips:
    """Returns the edges of the lips at places `u` from the middle of the face."""
    half = _HALF_WIDTH * identity.mouth_width * (0.74 + 0.52 * mouth.width) * (1 - 0.40 * mouth.rounding)
    half *= 1 - 0.05 * mouth.opening
    t = np.clip(u * np.float32(1 / half), -1, 1)
    rounded = np.sqrt(1 - t * t)
    gap = GAP * mouth.opening
    lift = 0.34 - 0.14 * mouth.jaw
    smile = mouth.width - 0.5
    line = MOUTH_V + 0.004 * rounded - (0.007 + 0.030 * smile) * t * t + 0.10 * gap * t * t
    bow = identity.cupids_bow * (1 - 0.5 * mouth.opening) * (1 - 0.4 * mouth.rounding)
    inner = rounded ** np.float32(0.95 - 0.25 * mouth.rounding)
    dip = 0.0045 * bow * bump(t, 0, 0.22) * (1 - mouth.opening)
    inner_top = line - lift * gap * inner + dip
    inner_bottom = line + (1 - lift) * gap * inner + dip
    full = (1 + 0.30 * mouth.rounding) * (1 - 0.14 * mouth.opening) * (1 - 0.16 * max(0.0, 2 * smile))
    edge = 1 - np.abs(t)
    ends = edge * (2 - edge)  # the lips get thinner toward the corners
    peaks = 1 + bow * (0.20 * bump(np.abs(t), 0.26, 0.16) - 0.16 * bump(t, 0, 0.11))
    outer_top = inner_top - 0.038 * identity.upper_lip * full * ends**0.85 * peaks
    outer_bottom = inner_bottom + 0.054 * identity.lower_lip * full * ends**0.62
    return Lips(t, outer_top, inner_top, inner_bottom, outer_bottom, half)


def opening_cover(lips: Lips, u: Plane, v: Plane, pixel: float) -> Plane:
    """Returns the coverage of each pixel by the inside of the mouth."""
    return between(v, lips.inner_top, lips.inner_bottom, pixel) * inside(lips.half_width - np.abs(u), pixel)


def paint_mouth(canvas: Canvas, view: HeadView, mouth: Mouth, lit: np.ndarray, places: tuple[Plane, Plane]) -> None:
    """Paints the mouth over the skin of its region.

    Args:
        canvas: the region's part of the frame.
        view: of the head.
        mouth: its shape.
        lit: the light on the region, (3, H, W).
        places: (u, v) of the region.
    """
    u, v = places
    identity, pixel = view.identity, 1.15 * view.pixel
    lips = lip_curves(identity, mouth, u)
    _paint_surroundings(canvas, lips, mouth, u, v)
    within = inside(lips.half_width - np.abs(u), pixel)
    shape = between(v, lips.outer_top, lips.outer_bottom, 1.4 * pixel) * within
    paint(canvas, _lip_colors(identity, lips, mouth, v, lit), shape)
    opening = opening_cover(lips, u, v, pixel)
    line = bump(v - lips.inner_top, 0, 0.0045) * within * (1 - smooth(0, 0.2, mouth.opening))
    tint(canvas, rgb(0.42, 0.28, 0.28), 0.85 * line * (1 - 0.4 * lips.t * lips.t))
    if mouth.opening > 0:
        paint(canvas, _inside_colors(identity, lips, mouth, u, v, pixel), opening)


def _paint_surroundings(canvas: Canvas, lips: Lips, mouth: Mouth, u: Plane, v: Plane) -> None:
    """Paints soft shadows below the lower lip, at the corners, and in the cheek folds of a wide or open mouth."""
    shade = rgb(0.70, 0.55, 0.52)
    middle = bump(u, 0, 0.62 * lips.half_width)
    below = v - lips.outer_bottom
    tint(canvas, shade, 0.50 * middle * bump(below, 0.012, 0.014))
    tint(canvas, np.float32(1.05), 0.5 * bump(u, 0, 0.05) * bump(below, 0.055, 0.02))
    corner_v = MOUTH_V + 0.10 * GAP * mouth.opening - 0.007 - 0.030 * (mouth.width - 0.5)
    side = np.abs(u)
    tint(canvas, shade, 0.55 * blob(side, v, (lips.half_width + 0.006, corner_v), (0.012, 0.014)))
    fold = side - (lips.half_width + 0.052 - 0.35 * np.abs(v - corner_v))
    strength = 0.30 * max(0.0, mouth.width - 0.45) + 0.10 * mouth.opening * (1 - mouth.rounding)
    tint(canvas, shade, strength * bump(fold, 0, 0.013) * bump(v, corner_v - 0.02, 0.045))


def _lip_colors(identity: Identity, lips: Lips, mouth: Mouth, v: Plane, lit: np.ndarray) -> Canvas:
    """Returns the colors of the lips: the upper lip in shade, the lower lip full and with a soft shine."""
    upper = (v - lips.outer_top) / np.maximum(lips.inner_top - lips.outer_top, 1e-3)
    lower = (v - lips.inner_bottom) / np.maximum(lips.outer_bottom - lips.inner_bottom, 1e-3)
    on_lower = (v >= (lips.inner_top + lips.inner_bottom) / 2).astype(np.float32)
    up = np.clip(upper, 0, 1)
    low = np.clip(lower, 0, 1)
    upper_shade = 0.972 - 0.10 * up + 0.05 * bump(up, 0.12, 0.14)
    lower_shade = 0.90 + 0.22 * bump(low, 0.40, 0.24) - 0.17 * smooth(0.62, 1.05, low)
    shade = upper_shade + on_lower * (lower_shade - upper_shade)
    shade = shade * (1 - 0.13 * smooth(0.45, 1.0, np.abs(lips.t)))
    colors = color(identity.lips) * lit * shade
    shine = on_lower * bump(low, 0.36, 0.13) * (bump(lips.t, -0.22, 0.24) + 0.7 * bump(lips.t, 0.30, 0.18))
    shine = shine + 0.2 * (1 - on_lower) * bump(up, 0.55, 0.2) * bump(np.abs(lips.t), 0.25, 0.16)
    colors += (0.10 + 0.04 * mouth.rounding) * shine
    return colors


def _inside_colors(identity: Identity, lips: Lips, mouth: Mouth, u: Plane, v: Plane, pixel: float) -> Canvas:
    """Returns the colors between the lips: dark cavity, teeth, tongue."""
    t, gap = lips.t, GAP * mouth.opening
    deep = smooth(0.0, 0.055, np.minimum(v - lips.inner_top, lips.inner_bottom - v))
    colors = color(identity.cavity) * (1.12 - 0.42 * deep)
    lower_arc = lips.inner_bottom - (0.014 + 0.010 * mouth.jaw) * smooth(0.30, 0.75, mouth.opening) * (1 - 0.5 * t * t)
    _paint_tongue(colors, identity, mouth, lips, u, v, gap, pixel)
    gums = between(v, lower_arc, lips.inner_bottom + 0.01, 2 * pixel) * smooth(0.78, 0.5, np.abs(t))
    shades = color(identity.teeth) * (0.66 + 0.12 * _gaps_between_teeth(u, 0.0135))
    paint(colors, shades, 0.8 * gums * (1 - mouth.rounding) * (1 - 0.6 * mouth.tongue))
    height = (0.012 + 0.030 * mouth.teeth) * smooth(0.0, 0.15, mouth.teeth)
    top = MOUTH_V - 0.34 * gap * (1 - 0.45 * (1 - mouth.teeth))  # the teeth stay in place when the lip is lowered
    tips = np.maximum(top, lips.inner_top) + height * (1 - 0.24 * (u * (1 / 0.11)) ** 2)
    row = between(v, lips.inner_top - 0.01, tips, 1.6 * pixel)
    curved = 0.97 - 0.42 * smooth(0.05, 0.125, np.abs(u)) - 0.20 * smooth(0.018, 0.0, v - lips.inner_top)
    paint(colors, color(identity.teeth) * curved * (0.93 + 0.07 * _gaps_between_teeth(u, 0.024)), row)
    return colors


def _gaps_between_teeth(u: Plane, tooth: float) -> Plane:
    """Returns 1 on teeth and less on the lines between them, which are `tooth` apart."""
    place = u * (1 / tooth)
    return 1 - bump(place - np.round(place), 0, 0.05)


def _paint_tongue(
    colors: Canvas, identity: Identity, mouth: Mouth, lips: Lips, u, v, gap: float, pixel: float
) -> None:
    """Paints the tongue: a low mound at rest, behind the teeth when raised."""
    tip = lips.inner_bottom - gap * (0.16 + 0.50 * mouth.tongue) * (1 - 0.30 * mouth.rounding)
    half = lips.half_width * (0.66 + 0.06 * mouth.tongue)
    mound = tip + 0.55 * gap * (np.abs(u) * (1 / half)) ** 2.6
    cover = inside(v - mound, 2.2 * pixel) * smooth(0.10, 0.40, mouth.opening)
    near = np.clip((v - mound) / max(gap, 1e-3), 0, 1)
    groove = 1 - 0.16 * bump(u, 0, 0.008) * smooth(0.02, 0.1, near)
    shades = color(identity.tongue) * (0.56 + 0.26 * mouth.tongue + 0.16 * smooth(0.05, 0.35, near)) * groove
    paint(colors, shades, (0.55 + 0.40 * mouth.tongue) * cover)
