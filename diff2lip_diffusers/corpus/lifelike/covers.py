"""Draws things before a face: hands, and microphones on a stand or in a hand."""

import numpy as np

from ..brushes import Canvas, Plane, color, inside, paint, rgb, smooth, tint
from ..head_view import MOUTH_V, Region
from ..motion import Cover
from .body import BodyPlace
from .head_rays import LifeView
from .key_light import KeyLight, diffuse

# A mouth counts as covered when more than this share of the place around it is.
COVERED_SHARE = 0.03


def paint_cover(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints what is before the face in this pose; `light` is in the frame's view."""
    place = _Around(view)
    if view.pose.cover is None or place.region.empty:
        return
    layer, alpha = _layer(view, light, place)
    part = place.region.of(canvas)
    tint(part, np.float32(0.72), 0.7 * _soft(alpha, max(1, round(0.02 * place.body.unit_px))))
    paint(part, layer, alpha)


def covered_share(view: LifeView) -> float:
    """How much of the place around the mouth is covered in this pose, 0 to 1."""
    place = _Around(view)
    if view.pose.cover is None or place.region.empty:
        return 0.0
    mouth_x, mouth_y = view.to_pixel(0.0, MOUTH_V + 0.03)
    at_x, at_y = (mouth_x - place.body.x_px) * place.body.pixel, (mouth_y - place.body.y_px) * place.body.pixel
    around = np.hypot((place.x - at_x) / 0.17, (place.y - at_y) / 0.13) < 1
    cover = _shape(view.pose.cover, place)
    return float((cover > 0.5)[around].mean()) if around.any() else 0.0


class _Around:
    """The frame in coordinates of a thing: (0, 0) is its middle, b goes down along it."""

    def __init__(self, view: LifeView):
        self.body = BodyPlace(view)
        cover = view.pose.cover or Cover("none", 0.0, 9.0, 0.0, 1.0)
        self.pixel = 1.3 * self.body.pixel
        mouth_y = -0.10 - 0.194  # of the mouth above the pit of the neck
        u, to_px = self.body.unit_px, self.body
        left, right, top = cover.x - 0.55, cover.x + 0.55, cover.y + mouth_y - 0.42
        size = view.size_px
        self.region = Region(to_px.x_px + left * u, to_px.y_px + top * u, to_px.x_px + right * u, size, size)
        self.x, self.y = self.body.places(self.region)
        angle = np.deg2rad(cover.angle)
        x, y = self.x - np.float32(cover.x), self.y - np.float32(cover.y + mouth_y)
        c, s, size = float(np.cos(angle)), float(np.sin(angle)), abs(cover.size)
        self.a, self.b = (x * c + y * s) * (np.sign(cover.size) / size), (y * c - x * s) / size


def _bars(kind: str) -> list[tuple[float, float, float, float, float, str]]:
    """The round bars of a thing: (a1, b1, a2, b2, radius, material), the rearmost first."""
    if kind == "stand":
        return [
            (0.0, 0.10, 0.10, 1.6, 0.016, "metal"),
            (0.0, 0.02, 0.0, 0.17, 0.05, "black"),
            (0.0, 0.0, 0.0, 0.05, 0.072, "mesh"),
        ]
    if kind == "microphone":
        fist = [(-0.055, 0.26 + 0.052 * i, 0.058, 0.25 + 0.052 * i, 0.032, "skin") for i in range(4)]
        return [
            (0.12, 0.55, 0.02, 0.40, 0.10, "skin"), (0.16, 1.4, 0.13, 0.60, 0.11, "sleeve"),
            (0.0, 0.08, 0.0, 0.52, 0.040, "black"), (0.0, 0.0, 0.0, 0.03, 0.070, "mesh"),
            *fist, (0.06, 0.33, -0.02, 0.23, 0.034, "skin"),
        ]  # fmt: skip
    fingers = [
        (-0.085, 0.17, -0.135, -0.07),
        (-0.030, 0.15, -0.050, -0.14),
        (0.028, 0.15, 0.035, -0.145),
        (0.082, 0.17, 0.11, -0.095),
    ]
    return [
        (0.02, 1.4, 0.0, 0.52, 0.115, "sleeve"), (0.0, 0.55, 0.0, 0.36, 0.085, "skin"),
        (0.0, 0.30, 0.0, 0.24, 0.122, "skin"),
        *((*finger, 0.032 - 0.002 * abs(i - 1), "skin") for i, finger in enumerate(fingers)),
        (-0.10, 0.34, -0.205, 0.17, 0.037, "skin"),
    ]  # fmt: skip


def _along(bar, place: _Around) -> tuple[Plane, Plane]:
    """How far along a bar (0 to 1) each place is, and its signed distance across, in radii."""
    a1, b1, a2, b2, radius, _ = bar
    da, db = a2 - a1, b2 - b1
    a, b = place.a - a1, place.b - b1
    t = np.clip((a * da + b * db) / max(da * da + db * db, 1e-6), 0, 1)
    return t, np.hypot(a - t * da, b - t * db) / radius


def _shape(cover: Cover, place: _Around) -> Plane:
    """Coverage by the whole thing."""
    alpha = np.zeros_like(place.a)
    for bar in _bars(cover.kind):
        np.maximum(alpha, inside((1 - _along(bar, place)[1]) * bar[4], place.pixel), out=alpha)
    return alpha


def _layer(view: LifeView, light: KeyLight, place: _Around) -> tuple[Canvas, Plane]:
    """Colors and coverage of the whole thing."""
    cover, identity = view.pose.cover, view.identity
    assert cover is not None
    layer, alpha = np.zeros((3, *place.a.shape), np.float32), np.zeros_like(place.a)
    lit = {}
    for bar in _bars(cover.kind):
        a1, b1, a2, b2, radius, material = bar
        t, far = _along(bar, place)
        shape = inside((1 - far) * radius, place.pixel)
        na, nb = place.a - a1 - t * (a2 - a1), place.b - b1 - t * (b2 - b1)
        nz = np.sqrt(np.clip(1 - far * far, 0.02, 1))
        flip = np.sign(cover.size)
        normal = np.stack([flip * na / radius * 0.9, nb / radius * 0.9, nz])
        normal /= np.sqrt((normal**2).sum(axis=0) + 1e-6)
        lit = diffuse(light, normal, 1.0, 1.0 if material == "skin" else 0.6)
        paint(layer, _material(material, identity, place, t, far) * lit + _gloss(material, light, normal), shape)
        if material == "skin":
            tint(layer, rgb(0.72, 0.55, 0.52), 0.55 * smooth(0.78, 1.0, far) * shape)
        np.maximum(alpha, shape, out=alpha)
    return layer, alpha


def _material(material: str, identity, place: _Around, t: Plane, far: Plane) -> np.ndarray:
    if material == "skin":
        knuckle = 0.10 * (np.exp(-(((t - 0.45) / 0.06) ** 2)) + np.exp(-(((t - 0.75) / 0.05) ** 2)))
        skin = color(identity.skin) * rgb(1.0, 0.90, 0.88) * (1 - knuckle)
        nail = smooth(0.72, 0.62, far) * smooth(0.9, 0.95, t)
        return skin + 0.10 * nail
    if material == "sleeve":
        return color(identity.clothes) * (1 + 0.10 * np.sin(60 * place.b + 8 * place.a))
    if material == "mesh":
        grid = np.sin(place.a * 330) * np.sin(place.b * 330)
        return rgb(0.34, 0.34, 0.36) * (1 + 0.55 * grid)
    return rgb(0.30, 0.30, 0.32) + 0 * t if material == "metal" else rgb(0.06, 0.06, 0.07) + 0 * t


def _gloss(material: str, light: KeyLight, normal: np.ndarray) -> np.ndarray:
    lx, ly, lz = light.direction
    half = np.clip(
        (normal[0] * lx + normal[1] * ly + normal[2] * (lz + 1)) / (lx * lx + ly * ly + (lz + 1) ** 2) ** 0.5, 0, 1
    )
    return light.key * ({"skin": 0.06, "sleeve": 0.0}.get(material, 0.35) * half**24)


def _soft(plane: Plane, reach: int) -> Plane:
    """A plane that is shifted down a little and blurred, for a shadow."""
    down = np.pad(plane, ((reach, 0), (0, 0)))[: plane.shape[0]]
    sides = np.pad(down, ((0, 0), (reach, reach)), mode="edge")
    return (sides[:, : plane.shape[1]] + down + sides[:, 2 * reach :]) / 3
