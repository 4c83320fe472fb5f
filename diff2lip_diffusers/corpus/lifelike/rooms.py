"""Draws the rooms behind lifelike people: patterned, blurred by distance, lit from the side of the key light."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..brushes import Canvas, Plane, blob, bump, color, paint, plane_noise, rgb, smooth, tint
from ..identity import Identity

Random = np.random.Generator


@lru_cache(maxsize=4)
def lifelike_room(identity: Identity, size_px: int) -> Canvas:
    """Returns the room behind a person; it is cached, so callers must not change it."""
    rng = np.random.default_rng([identity.seed, 0xB7])
    blur = float(rng.choice((1.0, 1.5, 2.5, 4.0, 7.0), p=(0.2, 0.2, 0.2, 0.25, 0.15)))
    small = max(24, round(size_px / blur))
    steps = (np.arange(small, dtype=np.float32) + 0.5) / small
    x, y = np.broadcast_arrays(steps[None], steps[:, None])
    scale = identity.life.pattern_scale
    room = _PAINTERS[identity.life.room](identity, x + rng.uniform(0, 0.3), y + rng.uniform(0, 0.3), scale, rng)
    side = 1.0 if identity.life.light_azimuth > 0 else -1.0
    glow = blob(x, y, (0.5 + 0.45 * side, rng.uniform(0.1, 0.6)), (0.5, 0.55))
    room = room * (0.52 + 0.55 * glow) * (0.55 + 0.45 * (_column(identity.life.key) + _column(identity.life.fill)))
    room *= rng.uniform(0.55, 1.1)
    return _enlarged(np.clip(room, 0, 1).astype(np.float32), size_px)


def _column(tint_color) -> np.ndarray:
    return np.array(tint_color, np.float32).reshape(3, 1, 1)


def _enlarged(room: Canvas, size_px: int) -> Canvas:
    """Scales a square room up, bilinearly."""
    small = room.shape[1]
    place = np.clip((np.arange(size_px, dtype=np.float32) + 0.5) * (small / size_px) - 0.5, 0, small - 1)
    low = np.minimum(place.astype(int), small - 2)
    part = place - low
    rows = room[:, low] + part[:, None] * (room[:, low + 1] - room[:, low])
    return np.ascontiguousarray(rows[:, :, low] + part * (rows[:, :, low + 1] - rows[:, :, low]))


def _square(side: float) -> tuple[float, float]:
    return side, side


def _wall(identity: Identity, x: Plane, rng: Random) -> Canvas:
    grain = plane_noise(rng, x.shape, _square(max(2, x.shape[0] / 9)))
    return color(identity.background) * (1 + 0.04 * grain)


def _gradient(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    room = _wall(identity, x, rng)
    paint(room, color(identity.background_detail), 0.8 * smooth(0.2, 1.1, x * rng.uniform(-0.6, 0.6) + y))
    return room


def _bokeh(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    room = 0.45 * _wall(identity, x, rng)
    for _ in range(26):
        place, radius = (rng.uniform(0, 1.3), rng.uniform(0, 1.2)), scale * rng.uniform(0.02, 0.09)
        far = np.hypot(x - place[0], y - place[1])
        glow = color(identity.background_detail) * 0.5 + rng.uniform(0.1, 0.9, 3).reshape(3, 1, 1) * 0.6
        room += (
            rng.uniform(0.15, 0.6)
            * glow
            * smooth(radius, 0.8 * radius, far)
            * (0.7 + 0.3 * smooth(0.5, 1, far / radius))
        )
    return room


def _skirted(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    room = _wall(identity, x, rng)
    edge = rng.uniform(0.55, 0.95)
    paint(room, color(identity.background_detail), smooth(edge, edge + 0.015, y))
    tint(room, np.float32(0.7), bump(y, edge, 0.006))
    if rng.random() < 0.6:  # a picture on the wall
        left, top, wide, tall = rng.uniform(0, 1), rng.uniform(0, 0.4), rng.uniform(0.15, 0.4), rng.uniform(0.15, 0.35)
        inner = np.minimum(np.minimum(x - left, left + wide - x), np.minimum(y - top, top + tall - y))
        paint(room, rgb(*rng.uniform(0.05, 0.9, 3)), smooth(0, 0.006, inner))
        art = plane_noise(rng, x.shape, _square(max(2, x.shape[0] / 12)))
        paint(room, rgb(*rng.uniform(0.2, 1, 3)) * (0.8 + 0.2 * art), smooth(0.016, 0.022, inner))
    return room


def _window(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    room = 0.7 * _wall(identity, x, rng)
    left, wide = rng.uniform(-0.2, 0.9), rng.uniform(0.3, 0.6)
    pane = (
        smooth(left, left + 0.01, x)
        * smooth(left + wide, left + wide - 0.01, x)
        * smooth(0.05, 0.06, y)
        * smooth(0.85, 0.84, y)
    )
    bars = np.maximum(bump(x, left + wide / 2, 0.008), bump(y, rng.uniform(0.35, 0.6), 0.008))
    trees = 0.6 * plane_noise(rng, x.shape, _square(max(2, x.shape[0] / 14))) + 3 * (y - 0.55)
    sky = rgb(0.86, 0.93, 1.0) + smooth(-0.5, 0.8, trees) * (rgb(0.30, 0.42, 0.22) - rgb(0.86, 0.93, 1.0))
    paint(room, 1.15 * sky, pane * (1 - 0.85 * bars))
    return room


def _shelves(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    """Shelves of books."""
    room = 0.5 * _wall(identity, x, rng)
    tall = 0.24 * scale
    shelf = np.floor(y / tall).astype(int)
    within = np.mod(y, tall) / tall
    books = np.sort(rng.uniform(0, 1.4, (8, 46)), axis=1)
    colors = rng.uniform(0.08, 0.85, (8, 47, 3)) * rng.uniform(0.4, 1, (8, 47, 1))
    heights = rng.uniform(0.55, 0.9, (8, 47))
    index = np.stack([np.searchsorted(row, x[0]) for row in books])
    row = np.clip(shelf, 0, 7)
    column = index[row[:, 0]]
    cover = smooth(0.02, 0.03, 1 - within - 0.06) * (1 - within < heights[row[:, 0][:, None], column] + 0.06)
    paint(room, colors[row[:, 0][:, None], column].transpose(2, 0, 1).astype(np.float32), cover.astype(np.float32))
    paint(room, color(identity.background_detail) * 0.7, smooth(0.93, 0.95, within))
    return room


def _bricks(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    tall, wide = 0.055 * scale, 0.15 * scale
    row = np.floor(y / tall)
    column = np.floor(x / wide + 0.5 * np.mod(row, 2))
    in_x, in_y = np.mod(x / wide + 0.5 * np.mod(row, 2), 1) * wide, np.mod(y, tall)
    tones = rng.uniform(0.72, 1.15, (64, 64)).astype(np.float32)[row.astype(int) % 64, column.astype(int) % 64]
    grain = plane_noise(rng, x.shape, (2.5, 2.5))
    room = color(identity.background) * (tones + 0.07 * grain)
    edge = np.minimum(np.minimum(in_x, wide - in_x), np.minimum(in_y, tall - in_y))
    paint(room, color(identity.background_detail) * (0.9 + 0.05 * grain), smooth(0.006, 0.003, edge))
    return room


def _paper(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    """Wallpaper: stripes, dots, diamonds or waves."""
    room, kind = _wall(identity, x, rng), rng.integers(4)
    waves = 2 * np.pi / (0.09 * scale)
    pattern = (
        np.sin(x * waves),
        np.sin(x * waves) * np.sin(y * waves) - 0.35,
        np.sin((x + y) * waves * 0.7) * np.sin((x - y) * waves * 0.7),
        np.sin(y * waves + 2.2 * np.sin(x * waves * 0.6)),
    )[kind]
    paint(room, color(identity.background_detail), rng.uniform(0.35, 0.9) * smooth(-0.06, 0.06, pattern))
    return room


def _leaves(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    """Plants out of doors, with spots of sun."""
    cells = x.shape[0] / 22 * scale
    noise = [plane_noise(rng, x.shape, _square(max(1.5, cells * part))) for part in (2.5, 1.0, 0.5)]
    mixed = 0.6 * noise[0] + 0.7 * noise[1] + 0.4 * noise[2]
    room = rgb(0.16, 0.26, 0.10) * (1 + 0.45 * mixed) + rgb(0.02, 0.04, 0.0)
    paint(room, rgb(0.55, 0.66, 0.25), 0.8 * smooth(0.5, 1.6, mixed))
    paint(room, rgb(1.0, 1.0, 0.86), smooth(1.6, 2.2, noise[0] + noise[1]))
    paint(room, rgb(0.80, 0.90, 1.0), smooth(0.35, 0.05, y + 0.12 * noise[0]))
    return np.clip(room, 0, 1)


def _curtain(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    phase = 1.5 * plane_noise(rng, (1, x.shape[1]), (1.01, max(2, x.shape[1] / 7)))
    fold = np.sin(x * (2 * np.pi / (0.13 * scale)) + phase + 0.5 * y)
    return color(identity.background) * (0.72 + 0.26 * fold + 0.10 * fold * np.abs(fold))


def _panels(identity: Identity, x: Plane, y: Plane, scale: float, rng: Random) -> Canvas:
    """Wooden panels."""
    wide = 0.17 * scale
    number = np.floor(x / wide).astype(int)
    tone = rng.uniform(0.8, 1.15, 64).astype(np.float32)[number % 64]
    grain = plane_noise(rng, x.shape, (max(3, x.shape[0] / 3), 1.6)) + 0.7 * np.sin(
        60 * x + 5 * np.sin(5 * y + number)
    )
    room = rgb(0.46, 0.31, 0.19) * (tone + 0.10 * grain)
    tint(room, np.float32(0.35), smooth(0.05, 0.02, np.mod(x, wide) / wide))
    return room


_PAINTERS: dict[str, Callable[[Identity, Plane, Plane, float, Random], Canvas]] = {
    "gradient": _gradient, "bokeh": _bokeh, "wall": _skirted, "window": _window, "shelves": _shelves,
    "bricks": _bricks, "paper": _paper, "leaves": _leaves, "curtain": _curtain, "panels": _panels,
}  # fmt: skip
