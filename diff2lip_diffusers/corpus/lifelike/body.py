"""Draws neck, shoulders and clothes of a lifelike person."""

import numpy as np

from ..brushes import Canvas, Plane, bump, color, inside, paint, plane_noise, rgb, smooth, tint
from ..head_view import BOX_PART, Region
from ..identity import Identity
from .head_rays import LifeView
from .key_light import KeyLight, diffuse


class BodyPlace:
    """Where the body is: (0, 0) is the pit of the neck, x right and y down in face units.

    Attributes:
        unit_px: pixels per face unit.
        pixel: face units per pixel.
        region: of the frame that the body may cover.
    """

    def __init__(self, view: LifeView):
        size, traits = view.size_px, view.identity.life
        self.unit_px = size * BOX_PART * view.pose.scale
        self.pixel = 1 / self.unit_px
        self.x_px = size * (0.5 + traits.shift_x) + 0.45 * (view.neck_x - size * (0.5 + traits.shift_x))
        self.y_px = view.neck_y + 0.10 * self.unit_px
        self.region = Region(0, self.y_px - 0.75 * self.unit_px, size, size, size)

    def places(self, region: Region | None = None) -> tuple[Plane, Plane]:
        """Places (x, y) of the pixels of a region, or of its own."""
        region = region or self.region
        x = (np.arange(region.x1, region.x2, dtype=np.float32) + np.float32(0.5 - self.x_px)) * self.pixel
        y = (np.arange(region.y1, region.y2, dtype=np.float32) + np.float32(0.5 - self.y_px)) * self.pixel
        return tuple(np.broadcast_arrays(x[None], y[:, None]))  # pyright: ignore[reportReturnType]


def paint_lifelike_body(canvas: Canvas, view: LifeView, light: KeyLight) -> None:
    """Paints neck, shoulders and clothes; `light` is in the frame's view."""
    place = BodyPlace(view)
    if place.region.empty:
        return
    part, (x, y) = place.region.of(canvas), place.places()
    identity, pixel = view.identity, 1.3 * place.pixel
    collar = identity.life.collar
    back = (1 - np.hypot(x * (1 / 0.27), (y + 0.06) * (1 / 0.085))) * 0.085
    paint(part, color(identity.clothes) * 0.30 * (light.key + light.fill), inside(back, pixel))
    if collar == "hoodie":
        hood = 0.34 - np.hypot(x, 1.5 * (y + 0.02)) + 0.01 * np.sin(14 * x)
        paint(part, _cloth(identity, light, x, y, 0.55 + 0.5 * y + 0.3 * x * light.direction[0]), inside(hood, pixel))
    _paint_neck(part, view, light, place, x, y)
    _paint_clothes(part, view, light, place, x, y)
    if collar == "scarf":
        _paint_scarf(part, identity, light, x, y, pixel)
    elif collar == "turtleneck":
        _paint_roll(part, identity, light, x, y, pixel)


def _paint_neck(part: Canvas, view: LifeView, light: KeyLight, place: BodyPlace, x: Plane, y: Plane) -> None:
    identity = view.identity
    top_x, top_y = view.upright_to_pixel(*view.turning.turned(0.0, 0.34, -0.10)[:2])
    top_x, top_y = (top_x - place.x_px) * place.pixel, (top_y - place.y_px) * place.pixel
    share = np.clip((y - top_y) / (0.02 - top_y), 0, 1.2)
    middle = top_x * (1 - smooth(0.0, 1.0, share))
    half = (0.198 + 0.05 * (identity.jaw_width - 1)) * (0.96 + 0.04 * share) + 0.22 * smooth(-0.12, 0.16, y) ** 2
    t = np.clip((x - middle) / half, -1, 1)
    nz = np.sqrt(1 - 0.9 * t * t)
    cords = 0.30 * (bump(np.abs(t) - 0.55 + 0.42 * share, 0, 0.10) * np.sign(t)) * (0.5 + 0.5 * identity.age)
    normal = np.stack([0.95 * t + cords, np.full_like(t, 0.18), nz])
    normal /= np.sqrt((normal**2).sum(axis=0))
    _, chin_y = view.to_pixel(0.0, 0.46)
    chin = (chin_y - place.y_px) * place.pixel
    under = smooth(chin + 0.01, chin + 0.20, y - 0.10 * t * t + 0.16 * light.direction[0] * t)
    lit = diffuse(light, normal, 0.15 + 0.85 * under) * (0.58 + 0.42 * under)
    rng = np.random.default_rng([identity.seed, 0xB0D])
    tone = 1 + identity.life.texture * 0.03 * plane_noise(rng, t.shape, (6, 6))
    lines = sum(bump(y + 0.05 * t * t, at, 0.004) for at in (-0.13, -0.06)) * identity.age
    skin = color(identity.skin) * rgb(1.0, 0.95, 0.94) * tone * (1 - 0.3 * lines)
    collarbone = (
        bump(y - 0.045 - 0.10 * np.abs(x), 0, 0.011) * smooth(0.03, 0.07, np.abs(x)) * smooth(0.30, 0.15, np.abs(x))
    )
    skin = skin * (
        1 + 0.14 * collarbone - 0.18 * bump(y - 0.068 - 0.10 * np.abs(x), 0, 0.012) * smooth(0.03, 0.07, np.abs(x))
    )
    inside_neck = np.minimum(half - np.abs(x - middle), (y - top_y) + 0.1)
    paint(part, skin * lit, inside(inside_neck, 1.3 * place.pixel))


def _neck_hole(collar: str, x: Plane, y: Plane) -> Plane:
    """Distance of places from the edge of the neckline, positive inside."""
    side = np.abs(x)
    if collar in ("crew", "hoodie"):
        return (1 - np.hypot(x * (1 / 0.225), (y + 0.02) * (1 / 0.095))) * 0.09
    if collar in ("turtleneck", "scarf"):
        return (1 - np.hypot(x * (1 / 0.20), (y + 0.06) * (1 / 0.05))) * 0.05
    if collar == "suit":
        return 0.215 - side - np.maximum(y + 0.03, 0) * 0.42
    return 0.215 - side * 1.05 - np.maximum(y + 0.02, 0) * (0.72 if collar == "v_neck" else 1.2)


def _paint_clothes(part: Canvas, view: LifeView, light: KeyLight, place: BodyPlace, x: Plane, y: Plane) -> None:
    identity, pixel = view.identity, 1.3 * place.pixel
    collar, side = identity.life.collar, np.abs(x)
    slope = 0.50 + 0.25 * (identity.jaw_width - 0.9)
    shoulder = -0.050 + slope * np.clip(side - 0.19, 0, None) ** 1.5 + 0.02 * smooth(0.25, 0.1, side)
    shoulder = shoulder + 3.0 * np.maximum(side - 0.80, 0) ** 1.5
    rng = np.random.default_rng([identity.seed, 0xC10])
    creases = plane_noise(rng, x.shape, (0.16 / place.pixel, 0.07 / place.pixel)) if min(x.shape) > 4 else 0 * x
    hole = _neck_hole(collar, x, y)
    body = view.covered(0 * x + 1) * inside(y - shoulder, pixel)
    nx, ny = 0.9 * x + 0.10 * creases, -0.75 * smooth(0.22, 0.0, y - shoulder) + 0.08 * creases
    normal = np.stack([nx, ny, np.full_like(nx, 0.8)])
    normal /= np.sqrt((normal**2).sum(axis=0))
    lit = diffuse(light, normal, 1.0, 0.8)
    lit *= 1 - 0.45 * bump(x - 0.25 * light.direction[0], 0, 0.24) * smooth(0.28, 0.0, y)  # the head's shadow
    cloth = _cloth(identity, light, x, y, 1.0) / (light.key + light.fill) * lit * (1 + 0.05 * creases)
    if collar == "suit":
        _paint_shirt_and_tie(part, identity, lit, x, y, pixel, body)
        lapel = inside(0.10 - np.abs(hole + 0.09 - 0.25 * y), pixel) * smooth(-0.03, 0.02, y)
        tint(cloth, np.float32(0.80), bump(hole + 0.19 - 0.25 * y, 0, 0.006) * smooth(-0.03, 0.05, y))
        tint(cloth, np.float32(1.10), lapel)
    elif collar in ("crew", "hoodie"):
        tint(cloth, np.float32(0.80), inside(hole + 0.026, pixel))
        tint(cloth, np.float32(0.6), bump(hole, -0.027, 0.004))
    tint(cloth, np.float32(0.6), bump(hole, 0.0, 0.012))
    paint(part, cloth, body * inside(-hole, pixel))
    if collar == "shirt":
        _paint_flaps(part, identity, lit, x, y, hole, pixel)


def _paint_flaps(part: Canvas, identity: Identity, lit, x: Plane, y: Plane, hole: Plane, pixel: float) -> None:
    """Paints the collar of a shirt, and its buttons."""
    side = np.abs(x)
    flap = np.minimum(np.minimum(hole + 0.115, -hole + 0.004), 0.15 - y + 0.35 * (side - 0.1))
    flap = np.minimum(flap, np.minimum(0.235 - side, y + 0.09 + 0.6 * (0.2 - side)))
    shade = 1.0 + 0.10 * smooth(0.0, 0.1, hole + 0.11)
    tint(part, np.float32(0.55), 0.8 * inside(flap + 0.012, 6 * pixel) * (1 - inside(flap, pixel)) * (hole < 0))
    paint(part, color(identity.clothes) * lit * (1.12 * shade), inside(flap, pixel))
    buttons = sum(inside(0.011 - np.hypot(x - 0.004, y - at), pixel) for at in (0.24, 0.40, 0.56))
    paint(part, color(identity.clothes_detail) * lit, buttons)
    tint(part, np.float32(0.7), 0.6 * bump(x, 0.018, 0.003) * smooth(0.17, 0.19, y))


def _paint_shirt_and_tie(part: Canvas, identity: Identity, lit, x: Plane, y: Plane, pixel: float, body: Plane) -> None:
    """Paints what a jacket leaves open: a light shirt with its collar, perhaps a tie."""
    side = np.abs(x)
    open_v = 0.195 - 1.15 * side - np.maximum(y + 0.02, 0) * 1.3
    shirt = rgb(0.86, 0.87, 0.90) * lit * (1 - 0.3 * bump(open_v, 0, 0.01))
    paint(part, shirt, body * inside(-open_v, pixel))
    flap = np.minimum(np.minimum(open_v + 0.10, -open_v), 0.12 - y + 0.4 * (side - 0.1))
    tint(part, np.float32(0.72), inside(flap + 0.012, 5 * pixel) * (1 - inside(flap, pixel)) * body)
    paint(
        part,
        rgb(0.95, 0.95, 0.97) * lit,
        inside(np.minimum(flap, np.minimum(0.225 - side, y + 0.08 + 0.6 * (0.2 - side))), pixel),
    )
    if identity.seed % 3:
        knot = np.minimum(0.040 - side + 0.25 * np.minimum(y - 0.13, 0), np.minimum(y - 0.085, 0.155 - y))
        tie = np.minimum(0.030 + 0.10 * (y - 0.15) - side, y - 0.15)
        stripe = 1 + 0.25 * np.sign(np.sin(70 * (x + y))) * (identity.seed % 2)
        paint(part, color(identity.life.pattern_color) * lit * stripe, inside(np.maximum(knot, tie), pixel))
        tint(part, np.float32(0.6), 0.8 * bump(y, 0.157, 0.006) * inside(0.04 - side, pixel))


def _cloth(identity: Identity, light: KeyLight, x: Plane, y: Plane, shade) -> Canvas:
    """Returns the pattern of the clothes in even light."""
    traits = identity.life
    base = np.broadcast_to(color(identity.clothes), (3, *x.shape)).copy()
    waves = 2 * np.pi / (0.085 * traits.pattern_scale)
    kind, other = traits.clothes_pattern, color(traits.pattern_color)
    if kind == "stripes":
        paint(base, other, 0.85 * smooth(-0.25, 0.25, np.sin(y * waves + 1.2 * np.cos(2 * x))))
    elif kind == "checks":
        paint(base, other, 0.45 * smooth(-0.2, 0.2, np.sin(x * waves)))
        paint(base, other, 0.45 * smooth(-0.2, 0.2, np.sin(y * waves)))
    elif kind == "dots":
        paint(base, other, 0.9 * smooth(0.55, 0.65, np.sin(x * waves) * np.sin(y * waves)))
    elif kind == "knit":
        base *= 1 + 0.14 * np.sin(x * 4 * waves) * np.sin(y * 3 * waves + 2 * np.abs(np.sin(x * 4 * waves)))
    return base * (light.key + light.fill) * shade


def _paint_scarf(part: Canvas, identity: Identity, light: KeyLight, x: Plane, y: Plane, pixel: float) -> None:
    """Paints a scarf: two loose rings around the neck, and an end that hangs down."""
    rng = np.random.default_rng([identity.seed, 0x5CA])
    tone, weave = color(identity.life.pattern_color), 0.08 * np.sin(150 * x + 60 * y) * np.sin(150 * y)
    end_x = float(rng.uniform(-0.12, 0.12))
    end = np.minimum(0.085 - np.abs(x - end_x - 0.1 * y), np.minimum(y - 0.02, 0.62 - y))
    rings = [(0.02, 0.100, 0.300), (-0.075, 0.085, 0.255)]
    for middle, tall, wide in rings:
        lean = 0.06 * float(rng.uniform(-1, 1)) * x
        droop = middle + 0.10 * np.sqrt(np.clip(1 - (x / wide) ** 2, 0, 1)) + lean
        height = tall * (0.75 + 0.25 * np.sqrt(np.clip(1 - (x / wide) ** 2, 0, 1)))
        t = (y - droop) / height
        ring = np.minimum(height - np.abs(y - droop), (wide - np.abs(x)) * 1.2)
        if middle > 0:
            folds = 0.2 * np.sin(40 * (x - end_x) + 8 * y)
            paint(part, tone * (light.key * (0.75 + folds) + light.fill) * (1 + weave), inside(end, pixel))
        folds = 0.22 * np.sin(16 * t + 9 * x + 40 * middle) + 0.12 * np.sin(31 * t - 14 * x)
        normal = np.stack([1.6 * x + 0 * t, 0.8 * t + folds, 0.8 + 0 * t])
        normal /= np.sqrt((normal**2).sum(axis=0))
        lit = diffuse(light, normal, 0.8, 0.8) * (0.75 + 0.25 * smooth(-0.16, 0.05, y))
        stripe = 1 - 0.35 * (identity.seed % 2) * smooth(0.3, 0.5, np.sin(26 * x + 3 * t))
        tint(part, np.float32(0.6), 0.8 * inside(ring + 0.02, 10 * pixel))
        paint(part, tone * lit * (1 + weave) * stripe, inside(ring, pixel))


def _paint_roll(part: Canvas, identity: Identity, light: KeyLight, x: Plane, y: Plane, pixel: float) -> None:
    """Paints the roll of a turtleneck."""
    t = (y + 0.075 - 0.05 * np.sqrt(np.clip(1 - (x / 0.25) ** 2, 0, 1))) / 0.095
    roll = np.minimum((1 - np.abs(t)) * 0.095, (0.232 - 0.03 * t - np.abs(x)) * 1.1)
    ribs = 0.12 * np.sin(150 * np.arcsin(np.clip(x / 0.26, -1, 1)) * 0.45)
    normal = np.stack([3.2 * x + ribs, 0.7 * t + 0 * x, 0.75 + 0 * x * t])
    normal /= np.sqrt((normal**2).sum(axis=0))
    lit = diffuse(light, normal, 0.75 + 0.25 * smooth(-0.6, 0.6, t), 0.8) * (0.72 + 0.28 * smooth(-1, 0.2, t))
    tint(part, np.float32(0.6), 0.8 * inside(roll + 0.012, 8 * pixel))
    paint(part, color(identity.clothes) * lit * (1 + ribs), inside(roll, pixel))
