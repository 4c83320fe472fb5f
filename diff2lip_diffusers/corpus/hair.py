"""Draws hair: the part behind the head, and the part on it, in soft strands."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .brushes import Canvas, Plane, bump, color, line_noise, look_up, paint, rgb, smooth, smooth_curve
from .head_view import HeadView, Region
from .identity import Identity
from .lighting import Light

_ENTRIES = 2048
LOW_U, HIGH_U = -0.62, 0.62


class Cut(NamedTuple):
    """A hair style.

    Attributes:
        volume: distance of its outline from the head, in face units.
        forehead: v of the hairline in the middle of the forehead.
        temples: |u| of the hairline at the temples.
        ends: v of the lower end of the hair at the sides, in front.
        back: v of the lower end of the hair behind the head; None if no hair shows there.
        part: u of the crown, from which strands run, as a fraction of half the head, on the person's `hair_side`.
        sweep: how much lower the hairline is on the other side of the part.
        wave: amplitude of the strands' waves.
        bumps: height of the curls on the outline.
        edge: softness of the hairline.
    """

    volume: float
    forehead: float
    temples: float
    ends: float
    back: float | None
    part: float = 0.3
    sweep: float = 0.0
    wave: float = 0.02
    bumps: float = 0.0
    edge: float = 0.012


CUTS = {
    "buzz": Cut(0.012, -0.415, 0.358, 0.00, None, edge=0.03),
    "short": Cut(0.055, -0.405, 0.358, 0.02, None, part=0.2, bumps=0.005, edge=0.014),
    "side_part": Cut(0.070, -0.415, 0.362, 0.03, None, part=0.55, sweep=0.075, edge=0.010),
    "quiff": Cut(0.095, -0.425, 0.362, 0.02, None, part=0.1, sweep=-0.03, bumps=0.006),
    "fringe": Cut(0.070, -0.322, 0.350, 0.34, 0.36, part=0.0, edge=0.008),
    "long": Cut(0.066, -0.425, 0.350, 0.95, 0.95, part=0.30, sweep=0.03),
    "wavy": Cut(0.085, -0.420, 0.348, 0.80, 0.78, part=0.18, sweep=0.02, wave=0.07, bumps=0.008),
    "curls": Cut(0.115, -0.400, 0.360, 0.05, None, part=0.0, wave=0.0, bumps=0.010, edge=0.016),
    "bun": Cut(0.034, -0.420, 0.360, 0.00, None, part=0.0, edge=0.012),
}


class _Strands(NamedTuple):
    """Tables by u or by angle, made once per person."""

    hair_line: np.ndarray
    level: np.ndarray  # 1 where the hairline is level, less where it is steep
    fine: np.ndarray
    broad: np.ndarray
    outline: np.ndarray


@lru_cache(maxsize=64)
def strands_of(identity: Identity) -> _Strands:
    cut = CUTS[identity.hair_style]
    rng = np.random.default_rng([identity.seed, 0x4A1])
    u = np.linspace(LOW_U, HIGH_U, _ENTRIES)
    side = identity.hair_side
    peak = cut.forehead + 0.035 * np.abs(u / 0.3) ** 3 * (cut.temples > 0.34)
    if cut.sweep:
        parting = side * cut.part * 0.36
        away = np.clip((parting - u) * np.sign(side), -0.3, 0.8)
        peak = peak + cut.sweep * smooth(0.0, 0.5, away) + 0.02 * smooth(0.0, -0.2, away)
    locks = {"fringe": 0.010, "curls": 0.012, "short": 0.010}.get(identity.hair_style, 0.003)
    peak = peak + locks * line_noise(rng, _ENTRIES, (14, 29, 47)) * smooth(cut.temples, cut.temples - 0.1, np.abs(u))
    line = smooth_curve(list(zip(u, _down_the_sides(cut, u, peak), strict=True)), LOW_U, HIGH_U, _ENTRIES, 0.008)
    return _Strands(
        line,
        1 / np.sqrt(1 + np.gradient(line, u[1] - u[0]).astype(np.float32) ** 2),
        line_noise(rng, _ENTRIES, (90, 170, 330)),
        line_noise(rng, _ENTRIES, (16, 34)),
        line_noise(rng, _ENTRIES, (23, 40)),
    )


def _down_the_sides(cut: Cut, u: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Returns the hairline: `peak` above the forehead, lower at temples, ears and nape."""
    side = np.abs(u) - cut.temples
    if cut.back is None:
        points = [(-0.19, 0.0), (-0.11, 0.03), (-0.05, 0.09), (0.0, 0.22), (0.03, 0.34), (0.055, 1.0)]
        ends = cut.ends + 0.20 * smooth(0.40, 0.47, np.abs(u))
    else:
        points = [(-0.19, 0.0), (-0.11, 0.025), (-0.05, 0.08), (-0.01, 0.22), (0.015, 0.38), (0.04, 0.60), (0.07, 1.0)]
        ends = cut.ends
    return peak + (ends - peak) * np.interp(side, [u for u, _ in points], [share for _, share in points])


def paint_hair_behind(canvas: Canvas, view: HeadView, light: Light) -> None:
    """Paints the hair behind head and neck, and a bun."""
    identity = view.identity
    cut = CUTS.get(identity.hair_style)
    if identity.hair_style == "bun":
        _paint_bun(canvas, view, light)
    if cut is None or cut.back is None:
        return
    region = view.region_upright(-0.75, -0.75, 0.75, min(cut.back + 0.12, 0.75))
    x, y = view.upright(region)
    x = x + 0.05 * view.sin_yaw
    strands = strands_of(identity)
    wave = cut.wave * 0.16 * np.sin(y * 21 + identity.seed)
    half = (0.438 + 0.55 * cut.volume) * identity.face_width
    half = half + 0.045 * smooth(-0.2, 0.7, y) * (cut.back > 0.5) + wave * np.sign(x)
    top = half * np.sqrt(np.clip(1 - (np.minimum(y + 0.12, 0) * (1 / 0.60)) ** 2, 0, 1))
    ends = cut.back + 0.03 * look_up(strands.broad, -0.7, 0.7, x) - y
    distance = np.minimum(np.minimum(top - np.abs(x), y + 0.68), ends * 0.6)
    bulge = cut.bumps * 1.2 * np.sin(24 * y + 2 * np.sin(9 * y + identity.seed)) * smooth(-0.3, 0, y)
    fine = look_up(strands.fine, -1.7, 1.7, x + wave)
    broad = look_up(strands.broad, -0.7, 0.7, x + wave)
    shade = 0.44 + 0.07 * fine + 0.10 * broad + 0.16 * smooth(0.25, 0.5, np.abs(x))
    paint(region.of(canvas), _hair_colors(identity, light, shade), view.covered(distance + bulge))


def _paint_bun(canvas: Canvas, view: HeadView, light: Light) -> None:
    identity = view.identity
    center_x, center_y, radius = -0.10 * view.sin_yaw, -0.735, 0.135 * identity.hair_volume
    region = view.region_upright(center_x - 0.2, center_y - 0.2, center_x + 0.2, center_y + 0.2)
    if region.empty:
        return
    x, y = view.upright(region)
    x, y = (x - center_x) * (1 / radius), (y - center_y) * (1 / (0.86 * radius))
    far = np.hypot(x, y)
    swirl = look_up(strands_of(identity).fine, -6, 6, 1.1 * np.arctan2(y, x + 0.3) + 3 * far)
    shade = 0.60 + 0.32 * bump(far, 0.45, 0.3) * smooth(0.6, -0.6, y) + 0.10 * swirl - 0.25 * smooth(0.6, 1.0, far)
    paint(region.of(canvas), _hair_colors(identity, light, shade), view.covered((1 - far) * radius))


def paint_hair_on_head(canvas: Canvas, view: HeadView, light: Light, head: Region, places, face_inside: Plane) -> None:
    """Paints the hair on top and at the sides of the head.

    Args:
        canvas: the frame.
        view: of the head.
        light: of the scene.
        head: the region that `places` and `face_inside` cover.
        places: straight (x, y) and places on the head (u, v).
        face_inside: distance of each pixel from the outline of the bare head, positive inside.
    """
    identity = view.identity
    cut = CUTS.get(identity.hair_style)
    if cut is None:
        return
    region = view.region_upright(-0.62, -0.86, 0.62, min(cut.ends + 0.05, 0.62))
    x, y, u, v = (region.of(plane, head) for plane in places)
    strands = strands_of(identity)
    crown_u = identity.hair_side * cut.part * 0.36
    angle = np.arctan2(u - crown_u, 0.30 - v + 0.5 * np.abs(u))
    face = region.of(face_inside, head)
    sides = 0.5 if identity.hair_style == "curls" else 0.10 if cut.back is None else 0.42
    outward = face + cut.volume * identity.hair_volume * (sides + (1 - sides) * smooth(0.08, -0.36, y))
    outward = outward + 0.05 * smooth(0.0, 0.35, y) * (cut.ends > 0.3)
    outward = outward + cut.bumps * look_up(strands.outline, -np.pi, np.pi, np.arctan2(x, -y))
    wave = cut.wave * np.sin(26 * v + 5 * angle + identity.seed) + 0.02 * np.sin(9 * v)
    flow = angle + 0.35 * wave
    fine = look_up(strands.fine, -2.2, 2.2, flow)
    broad = look_up(strands.broad, -2.2, 2.2, flow)
    if identity.hair_style == "curls":
        fine, broad = _curls(u, v, identity.seed)
    aside = np.copysign(np.maximum(np.abs(u), np.abs(x) + 0.06), x)
    far_u = u + (aside - u) * smooth(0.025, -0.005, face)  # outside the head, hair hangs as at its side
    above = look_up(strands.hair_line, LOW_U, HIGH_U, far_u) - v
    above = above * look_up(strands.level, LOW_U, HIGH_U, far_u) + 0.003 * fine + 0.003 * broad
    alpha = view.covered(outward) * smooth(-cut.edge, cut.edge, above)
    if identity.hair_style == "buzz":
        alpha = 0.72 * alpha
    shade = _front_shade(cut, light, view, x, y, outward, above, fine, broad)
    part = region.of(canvas)
    shadow = smooth(0.045, 0.0, -above) * smooth(0.0, 0.02, face)
    part *= 1 - 0.26 * shadow * rgb(0.8, 1.0, 1.05)
    paint(part, _hair_colors(identity, light, shade), alpha)


def _curls(u: Plane, v: Plane, seed: int) -> tuple[Plane, Plane]:
    """Returns fine and broad brightness patterns for curls instead of strands."""
    x, y = 46 * u + 1.7 * np.sin(31 * v + seed), 46 * v + 1.7 * np.sin(33 * u + 2 * seed)
    ring = np.sin(x) * np.sin(y)
    return 0.7 * np.sin(4 * ring + 0.35 * x), 0.9 * ring


def _front_shade(cut: Cut, light: Light, view: HeadView, x, y, outward, above, fine, broad) -> Plane:
    """Returns the brightness of the hair: round like the head, with a band of shine, darker at the roots."""
    round_off = smooth(0.0, 0.17, outward)
    toward = 1 + 0.55 * light.direction[0] * x - 0.12 * smooth(0.0, 0.4, y)
    band = bump(y + 0.55 * x * x, -0.52, 0.06) * (1 + 0.35 * fine + 0.25 * broad)
    roots = 0.16 * smooth(0.05, 0.0, above)
    return (0.60 + 0.30 * round_off - roots) * toward + 0.17 * np.clip(band, 0, 2) + 0.06 * fine + 0.07 * broad


def _hair_colors(identity: Identity, light: Light, shade: Plane) -> Canvas:
    """Returns the hair's color for each brightness; its shine is a little cooler."""
    base = color(identity.hair) * (light.key + light.ambient) + 0.010
    lift = np.clip(shade - 0.85, 0, 1) * 0.16
    return np.clip(base * np.clip(shade, 0.15, 2) + lift, 0, 1)
