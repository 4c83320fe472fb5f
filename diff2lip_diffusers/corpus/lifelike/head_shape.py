"""The shape of a head in the round: its radius in every direction, at rest and with a lowered jaw."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..brushes import Plane, blob, smooth
from ..head_view import CHIN_DROP, CHIN_V, MOUTH_V
from ..identity import Identity
from ..skin import relief

ENTRIES = 320
CENTER = (0.0, -0.03, 0.02)  # of the radii, in face units
_REACH = 1.0


class HeadShape(NamedTuple):
    """Radii by direction, (ENTRIES, ENTRIES) float32, and how they change; directions as in `place_of`."""

    rest: np.ndarray
    jaw: np.ndarray  # added with a wholly lowered chin
    pucker: np.ndarray  # added with wholly rounded lips

    def radii(self, chin_drop: float, rounding: float) -> np.ndarray:
        """The radii for a mouth shape, `chin_drop` in face units."""
        return self.rest + (chin_drop / CHIN_DROP) * self.jaw + rounding * self.pucker


def place_of(u, v, w):
    """Row and column in a table of directions, as floats: an octahedron, unfolded, its front in the middle."""
    total = 1 / (np.abs(u) + np.abs(v) + np.abs(w) + np.float32(1e-9))
    a, b = u * total, v * total
    behind = w < 0
    if np.any(behind):
        fold_a = (1 - np.abs(b)) * np.where(a >= 0, np.float32(1), np.float32(-1))
        fold_b = (1 - np.abs(a)) * np.where(b >= 0, np.float32(1), np.float32(-1))
        a, b = np.where(behind, fold_a, a), np.where(behind, fold_b, b)
    scale = np.float32((ENTRIES - 1) / 2)
    return (b + 1) * scale, (a + 1) * scale


def nearest(table: np.ndarray, u, v, w):
    """The nearest entry of a table of directions."""
    row, column = place_of(u, v, w)
    index = (row + np.float32(0.5)).astype(np.int32)
    index *= ENTRIES
    index += (column + np.float32(0.5)).astype(np.int32)
    return table.ravel().take(index)


def interpolated(table: np.ndarray, u, v, w):
    """The bilinearly interpolated entry of a table of directions."""
    row, column = place_of(u, v, w)
    top, left = np.minimum(row.astype(np.int32), ENTRIES - 2), np.minimum(column.astype(np.int32), ENTRIES - 2)
    row -= top
    column -= left
    index = top * ENTRIES + left
    flat = table.ravel()
    upper, lower = flat.take(index), flat.take(index + ENTRIES)
    upper += column * (flat.take(index + 1) - upper)
    lower += column * (flat.take(index + (ENTRIES + 1)) - lower)
    return upper + row * (lower - upper)


def directions() -> tuple[Plane, Plane, Plane]:
    """The unit direction (u, v, w) of every entry of a table."""
    steps = np.linspace(-1, 1, ENTRIES, dtype=np.float32)
    a, b = np.meshgrid(steps, steps)
    w = 1 - np.abs(a) - np.abs(b)
    over = np.maximum(-w, 0)
    u = a - np.copysign(over, a)
    v = b - np.copysign(over, b)
    length = np.sqrt(u * u + v * v + w * w)
    return u / length, v / length, w / length


@lru_cache(maxsize=16)
def head_shape(identity: Identity) -> HeadShape:
    """Returns the shape of a person's head; it is cached, so callers must not change it."""
    u, v, w = directions()
    rest = _soften(_radii(identity, u, v, w, 0.0), 1)
    lowered = _soften(_radii(identity, u, v, w, CHIN_DROP), 1)
    at_u, at_v = CENTER[0] + rest * u, CENTER[1] + rest * v
    pucker = 0.045 * blob(at_u, at_v, (0, MOUTH_V), (0.085, 0.055)) * (w > 0)
    return HeadShape(rest, lowered - rest, pucker.astype(np.float32))


def _radii(identity: Identity, u: Plane, v: Plane, w: Plane, drop: float) -> Plane:
    """Bisects for the distance of the surface from CENTER in every direction."""
    low, high = np.full_like(u, 0.05), np.full_like(u, _REACH)
    lines = _section_lines(identity)
    for _ in range(17):
        middle = (low + high) / 2
        out = _outside(identity, lines, *(c + middle * d for c, d in zip(CENTER, (u, v, w), strict=True)), drop)
        low, high = np.where(out, low, middle), np.where(out, middle, high)
    return (low + high) / 2


def _section_lines(identity: Identity) -> tuple[np.ndarray, ...]:
    """By v from -0.7 to 0.6: half the width of the head, and w of its front and of its back."""
    wide, jaw, chin = identity.face_width, identity.jaw_width, identity.chin_width
    v = np.linspace(-0.70, 0.60, 1301)
    half = [
        (-0.640, 0.0), (-0.630, 0.09), (-0.60, 0.185), (-0.54, 0.285), (-0.46, 0.345), (-0.36, 0.378), (-0.26, 0.390),
        (-0.10, 0.388), (0.01, 0.378), (0.13, 0.352 * (0.5 + 0.5 * jaw)), (0.25, 0.312 * jaw), (0.345, 0.252 * jaw),
        (0.42, 0.172 * (0.4 + 0.6 * jaw) * (0.5 + 0.5 * chin)), (0.458, 0.110 * chin), (CHIN_V, 0.05), (0.478, 0.0),
    ]  # fmt: skip
    front = [
        (-0.64, -0.05), (-0.62, 0.06), (-0.57, 0.20), (-0.47, 0.30), (-0.35, 0.365), (-0.22, 0.388), (-0.12, 0.385),
        (0.0, 0.372), (0.15, 0.375), (0.25, 0.375), (0.34, 0.368), (0.42, 0.356), (0.455, 0.328), (CHIN_V, 0.29),
        (0.478, 0.22),
    ]  # fmt: skip
    back = [
        (-0.64, -0.10), (-0.62, -0.20), (-0.56, -0.33), (-0.45, -0.44), (-0.3, -0.50), (-0.12, -0.50), (0.02, -0.44),
        (0.13, -0.34), (0.20, -0.24), (0.27, -0.13), (0.34, -0.02), (0.41, 0.08), (0.455, 0.15), (0.478, 0.20),
    ]  # fmt: skip
    width, front_w, back_w = (np.interp(v, *np.array(line).T) for line in (half, front, back))
    kernel = np.hanning(43) / np.hanning(43).sum()
    smoothed = [
        np.convolve(np.pad(line, 21, mode="edge"), kernel, mode="valid") for line in (width * wide, front_w, back_w)
    ]
    return tuple(line.astype(np.float32) for line in smoothed)


def _outside(identity: Identity, lines: tuple[np.ndarray, ...], u: Plane, v: Plane, w: Plane, drop: float):
    """Whether places are outside the head."""
    v = v - drop * smooth(MOUTH_V - 0.06, CHIN_V - 0.02, v)
    row = np.clip((v + 0.70) * 1000, 0, 1300).astype(np.int32)
    half, front, back = (line.take(row) for line in lines)
    w = w - 0.92 * relief(identity, u, v) * smooth(0.0, 0.15, w)
    middle = 0.35 * front + 0.65 * back
    depth = np.where(w > middle, front - middle, middle - back)
    far = np.abs(u / np.maximum(half, 1e-3)) ** 2.1 + np.abs((w - middle) / np.maximum(depth, 1e-3)) ** 2.1
    return (far > 1) | (v > 0.478) | (v < -0.64)


def _soften(table: np.ndarray, rounds: int) -> np.ndarray:
    """Averages neighbors, which removes steps."""
    for _ in range(rounds):
        padded = np.pad(table, 1, mode="edge")
        table = (padded[:-2, 1:-1] + 2 * padded[1:-1, 1:-1] + padded[2:, 1:-1]) / 4
        padded = np.pad(table, 1, mode="edge")
        table = (padded[1:-1, :-2] + 2 * padded[1:-1, 1:-1] + padded[1:-1, 2:]) / 4
    return table.astype(np.float32)
