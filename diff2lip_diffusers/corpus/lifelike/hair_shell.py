"""Draws hair in the round: a shell around the head, of strands that shine across their direction."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..brushes import Canvas, Plane, bump, color, look_up, paint, plane_noise, smooth
from ..hair import CUTS, HIGH_U, LOW_U, strands_of
from ..head_view import Region
from ..identity import Identity
from .head_rays import Hits, LifeView
from .head_shape import CENTER, directions, head_shape
from .key_light import KeyLight, diffuse

_SHEET = (192, 2048)  # rows along the strands, columns across


class _Fall(NamedTuple):
    """Noise along and across strands."""

    fine: np.ndarray
    locks: np.ndarray
    gray: np.ndarray


def across(u: Plane, w: Plane) -> Plane:
    """Sideways places on the head that go on around its sides: |u| grows where the head turns backward."""
    return u + np.copysign(0.62 * np.maximum(0.16 - w, 0), u)


@lru_cache(maxsize=16)
def hair_height(identity: Identity) -> np.ndarray:
    """How far the hair stands above the head in every direction, a table of directions."""
    cut = CUTS.get(identity.hair_style)
    u, v, w = directions()
    if cut is None:
        return np.zeros_like(u)
    rest = head_shape(identity).rest
    at_u, at_v, at_w = (np.float32(c) + rest * d for c, d in zip(CENTER, (u, v, w), strict=True))
    above = _above_line(identity, at_u, at_v, at_w)
    covered = smooth(-0.002, 0.045, above)
    sides = 0.55 if identity.hair_style == "curls" else 0.28 if cut.back is None else 0.55
    volume = cut.volume * identity.hair_volume * (sides + (1 - sides) * smooth(0.10, -0.36, at_v))
    rng = np.random.default_rng([identity.seed, 0x4A2])
    lumps = plane_noise(rng, u.shape, (11, 11)) + 0.6 * plane_noise(rng, u.shape, (5, 5))
    rough = 0.14 if identity.hair_style in ("curls", "wavy", "short", "quiff") else 0.07
    part = identity.hair_side * cut.part * 0.36
    crest = 1 - 0.35 * bump(at_u, part, 0.018) * smooth(0.2, -0.3, at_v) * (w > -0.4) * (cut.part > 0)
    return (volume * covered * np.clip(1 + rough * lumps, 0.4, 1.6) * crest).astype(np.float32)


def _above_line(identity: Identity, u: Plane, v: Plane, w: Plane) -> Plane:
    """Distance of places on the head above the hairline, in face units."""
    strands = strands_of(identity)
    wide = np.clip(across(u, w), LOW_U, HIGH_U)
    line = look_up(strands.hair_line, LOW_U, HIGH_U, wide)
    level = look_up(strands.level, LOW_U, HIGH_U, wide)
    nape = 0.24 + 0.02 * np.sin(40 * u)
    line = np.where(
        w < -0.06, np.minimum(np.maximum(line, nape), max(nape.max(), CUTS[identity.hair_style].ends)), line
    )
    return (line - v) * level - 0.012


@lru_cache(maxsize=16)
def _fall(identity: Identity) -> _Fall:
    rng = np.random.default_rng([identity.seed, 0x4A3])
    fine = plane_noise(rng, _SHEET, (48, 3.1)) + 0.7 * plane_noise(rng, _SHEET, (90, 7))
    locks = plane_noise(rng, _SHEET, (70, 26)) + 0.6 * plane_noise(rng, _SHEET, (60, 60))
    return _Fall(fine, locks, plane_noise(rng, _SHEET, (120, 2.6)))


def _on_sheet(table: np.ndarray, along: Plane, flow: Plane) -> Plane:
    """Entries of a sheet at places `along` strands, from 0, and across them (`flow`, in radians)."""
    rows, columns = table.shape
    row = np.clip(along * rows, 0, rows - 1).astype(np.int32)
    column = np.mod(flow * (columns / (2 * np.pi)), columns).astype(np.int32)
    np.clip(column, 0, columns - 1, out=column)
    return table.ravel().take(row * columns + column)


def paint_hair(canvas: Canvas, view: LifeView, light: KeyLight, region: Region, hits: Hits, shadow: Plane) -> None:
    """Paints the hair that stands on the head over the face.

    Args:
        canvas: the frame.
        view: of the head.
        light: in the upright view.
        region: of the frame, which `hits` and `shadow` cover.
        hits: what the pixels see of head and hair together.
        shadow: how much of the key light arrives there.
    """
    identity = view.identity
    cut = CUTS.get(identity.hair_style)
    if cut is None:
        return
    u, v, w = hits.u, hits.v, hits.w
    crown_u = identity.hair_side * cut.part * 0.36
    crown_v, crown_w = (-0.60, 0.0) if cut.part else (-0.58, -0.16)
    angle = np.arctan2(u - crown_u, w - crown_w + 0.9 * (v - crown_v) * np.sign(w + 0.05))
    along = np.hypot(np.hypot(u - crown_u, v - crown_v), w - crown_w)
    flow = angle + 0.35 * cut.wave * np.sin(24 * along + identity.seed) + 0.10 * np.sin(7 * along + 3 * angle)
    fall = _fall(identity)
    fine, locks = _on_sheet(fall.fine, along, flow * 1.0), _on_sheet(fall.locks, along, flow)
    if identity.hair_style == "curls":
        fine, locks = _curls(u, v, w, identity.seed)
    above = _above_line(identity, u, v, w) + 0.004 * fine + 0.006 * locks
    alpha = hits.cover * smooth(-1.4 * cut.edge, 1.4 * cut.edge, above)
    if identity.hair_style == "buzz":
        alpha = alpha * np.clip(0.74 + 0.16 * fine, 0.3, 0.95)
    shine = _shine(view, light, hits, (u - crown_u, v - crown_v, w - crown_w), fine, locks)
    roots = 1 - 0.30 * smooth(0.05, 0.0, above)
    lit = diffuse(light, hits.normal, 0.35 + 0.65 * shadow, 0.8)
    shade = np.clip(0.78 + 0.15 * fine + 0.14 * locks, 0.25, 1.5) * roots
    base = color(identity.hair) + 0.012
    gray = np.clip(identity.age - 0.38, 0, 0.4) * 1.6 * smooth(0.2, 1.0, _on_sheet(fall.gray, along, flow))
    base = base + gray * (np.float32(0.62) - base)
    colors = base * lit * shade + (0.30 * base + 0.045) * light.key * (shine * (0.25 + 0.75 * shadow))
    paint(region.of(canvas), np.clip(colors, 0, 1), alpha)


def _curls(u: Plane, v: Plane, w: Plane, seed: int) -> tuple[Plane, Plane]:
    """Fine and broad patterns of curls instead of strands."""
    a, b = across(u, w), v - 0.4 * w
    x, y = 50 * a + 1.9 * np.sin(27 * b + seed), 50 * b + 1.9 * np.sin(29 * a + 2 * seed)
    ring = np.sin(x) * np.sin(y)
    return 0.8 * np.sin(5 * ring + 0.35 * x), 1.1 * ring


def _shine(view: LifeView, light: KeyLight, hits: Hits, away, fine: Plane, locks: Plane) -> Plane:
    """The highlight of strands that run away from the crown (Kajiya and Kay, 1989)."""
    t = view.turning
    nu, nv, nw = t.direction_back(*hits.normal)
    inner = nu * away[0] + nv * away[1] + nw * away[2]
    du, dv, dw = (a - inner * n for a, n in zip(away, (nu, nv, nw), strict=True))
    length = 1 / np.sqrt(du * du + dv * dv + dw * dw + np.float32(1e-6))
    lx, ly, lz = light.direction
    half = np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])
    hu, hv, hw = (np.float32(part) for part in t.direction_back(*half))
    along = (du * hu + dv * hv + dw * hw) * length + 0.10 * fine + 0.07 * locks
    across_strands = np.clip(1 - along * along, 0, 1)
    facing = np.clip(hits.normal[0] * half[0] + hits.normal[1] * half[1] + hits.normal[2] * half[2], 0, 1)
    return across_strands**14 * facing
