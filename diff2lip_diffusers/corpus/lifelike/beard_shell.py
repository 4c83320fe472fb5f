"""Draws beards that stand above the skin."""

import numpy as np

from ..brushes import Canvas, color, paint, plane_noise, smooth
from ..head_view import CHIN_V, MOUTH_V, Region
from .beard import beard_area, beard_height
from .head_rays import Hits, LifeView
from .head_shape import CENTER, directions
from .key_light import KeyLight, diffuse


def paint_beard_shell(
    canvas: Canvas, view: LifeView, light: KeyLight, head: Region, hits: Hits, radii: np.ndarray, drop: float
) -> None:
    """Paints a goatee or a full beard over the skin; the mouth is painted over it later.

    Args:
        canvas: the frame.
        view: of the head.
        light: in the upright view.
        head: the region of the head.
        hits: what its pixels see of the skin.
        radii: of the head with the present mouth.
        drop: of the chin, in face units.
    """
    identity = view.identity
    if identity.beard not in ("goatee", "full"):
        return
    low = view.region_upright(-0.62, -0.02, 0.62, 0.86)
    region = Region(max(low.x1, 0), max(low.y1, 0), low.x2, low.y2, view.size_px)
    if region.empty:
        return
    du, dv, dw = directions()
    at_v = CENTER[1] + radii * dv
    flat = at_v - drop * smooth(MOUTH_V - 0.02, CHIN_V + 0.03, at_v)
    grown = radii + beard_height(identity, CENTER[0] + radii * du, flat, CENTER[2] + radii * dw)
    seen = view.on_surface(region, grown)
    v = seen.v - drop * smooth(MOUTH_V - 0.02, CHIN_V + 0.03, seen.v)
    area = beard_area(identity.beard, seen.u, np.minimum(v, 0.46)) * smooth(-0.25, -0.05, seen.w)
    rng = np.random.default_rng([identity.seed, 0xBEA])
    sheet = plane_noise(rng, (256, 512), (17, 1.7)) + 0.8 * plane_noise(rng, (256, 512), (30, 4))
    row = np.clip((v + 0.1) * 330 + 10 * np.abs(seen.u), 0, 255).astype(np.int32)
    column = np.clip((seen.u * (1 + 0.25 * smooth(0.3, 0.5, v)) + 0.5) * 511, 0, 511).astype(np.int32)
    hairs = sheet.ravel().take(row * 512 + column)
    alpha = seen.cover * smooth(0.22, 0.72, area + 0.10 * hairs)
    lit = diffuse(light, seen.normal, 0.75, 0.9)
    depth = 0.80 + 0.24 * hairs - 0.22 * smooth(0.5, 0.9, seen.normal[1])
    base = color(identity.brow) + 0.02
    gray = np.clip(identity.age - 0.3, 0, 0.5) * 1.3 * smooth(0.2, 1.2, hairs) * smooth(0.2, 0.0, np.abs(seen.u))
    base = base + gray * (np.float32(0.66) - base)
    paint(region.of(canvas), np.clip(base * lit * np.clip(depth, 0.3, 1.6), 0, 1), alpha)
