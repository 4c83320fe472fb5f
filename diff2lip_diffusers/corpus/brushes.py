"""Drawing primitives: anti-aliased coverage, blending and smooth noise, on planes of float32."""

import numpy as np

Plane = np.ndarray
"""float32 (H, W)."""
Canvas = np.ndarray
"""float32 (3, H, W), red, green and blue in [0, 1]."""


def smooth(low: float, high: float, x):
    """Smoothstep: 0 below `low`, 1 above `high`, an S curve between; falls instead if `low` is greater than `high`."""
    t = (x - low) * (1.0 / (high - low))
    t = min(max(t, 0.0), 1.0) if isinstance(t, float) else np.clip(t, 0, 1)  # NumPy numbers make float64 planes
    return t * t * (3 - 2 * t)


def bump(x, center: float, width: float):
    """A Gaussian of height 1; `width` is its standard deviation."""
    d = (x - center) * (0.70710678 / width)
    return np.exp(-d * d)


def blob(u, v, center: tuple[float, float], width: tuple[float, float]):
    """A Gaussian spot of height 1 on the plane (u, v)."""
    du, dv = (u - center[0]) * (0.70710678 / width[0]), (v - center[1]) * (0.70710678 / width[1])
    return np.exp(-(du * du + dv * dv))


def inside(distance, pixel: float):
    """Coverage in [0, 1] of pixels `pixel` wide, `distance` inside an edge (negative: outside)."""
    return np.clip(distance * (1.0 / pixel) + 0.5, 0, 1)


def between(y, top, bottom, pixel: float):
    """Coverage of pixels `pixel` high at `y` by the band from `top` to `bottom`; 0 where `top` is below `bottom`."""
    return np.clip(inside(y - top, pixel) + inside(bottom - y, pixel) - 1, 0, 1)


def color(rgb) -> np.ndarray:
    """A color of three bytes as (3, 1, 1) float32 in [0, 1]."""
    return (np.asarray(rgb, dtype=np.float32) / 255).reshape(3, 1, 1)


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """Three numbers as (3, 1, 1) float32."""
    return np.array([red, green, blue], dtype=np.float32).reshape(3, 1, 1)


def paint(canvas: Canvas, paint_color, alpha) -> None:
    """Blends a color, (3, 1, 1) or (3, H, W), over `canvas` in place with opacity `alpha` (H, W)."""
    canvas += alpha * (paint_color - canvas)


def tint(canvas: Canvas, factor, alpha) -> None:
    """Multiplies `canvas` in place by `factor`, a color or a number, with opacity `alpha` (H, W)."""
    canvas *= 1 + alpha * (factor - 1)


def look_up(table: np.ndarray, low: float, high: float, x: Plane) -> Plane:
    """The nearest entry of `table`, which is equally spaced from `low` to `high`; clamped outside."""
    scale = (len(table) - 1) / (high - low)
    place = np.clip((x - low) * scale + 0.5, 0, len(table) - 1)
    return table.take(place.astype(np.int32))


def smooth_curve(points: list[tuple[float, float]], low: float, high: float, entries: int = 1024, softness: float = 0):
    """A table for `look_up` through `points` (x, y), blurred by a Gaussian of `softness` in units of x."""
    x = np.linspace(low, high, entries)
    known_x, known_y = zip(*points, strict=True)
    y = np.interp(x, known_x, known_y)
    if softness:
        step = x[1] - x[0]
        reach = int(3 * softness / step) + 1
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / softness) ** 2)
        y = np.convolve(np.pad(y, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
    return y.astype(np.float32)


def line_noise(rng: np.random.Generator, entries: int, octaves: tuple[int, ...]) -> np.ndarray:
    """A periodic random curve around 0 with a spread of about 1; `octaves` are numbers of waves that are summed."""
    line = np.zeros(entries)
    for knots in octaves:
        heights = rng.normal(size=knots)
        place = np.arange(entries) * knots / entries
        left = place.astype(int)
        t = place - left
        t = t * t * (3 - 2 * t)
        line += heights[left % knots] * (1 - t) + heights[(left + 1) % knots] * t
    return (line / np.sqrt(len(octaves))).astype(np.float32)


def plane_noise(rng: np.random.Generator, shape: tuple[int, int], cell: tuple[float, float]) -> Plane:
    """Smooth noise around 0 with a spread of about 1, with a new value every `cell` (rows, columns) entries."""
    rows, columns = (np.arange(n) / c for n, c in zip(shape, cell, strict=True))
    knots = rng.normal(size=(int(rows[-1]) + 2, int(columns[-1]) + 2)).astype(np.float32)
    r, c = rows.astype(int), columns.astype(int)
    tr, tc = (np.asarray(smooth(0, 1, x - x.astype(int)), np.float32) for x in (rows, columns))
    upper = knots[r][:, c] * (1 - tc) + knots[r][:, c + 1] * tc
    lower = knots[r + 1][:, c] * (1 - tc) + knots[r + 1][:, c + 1] * tc
    return upper + tr[:, None] * (lower - upper)
