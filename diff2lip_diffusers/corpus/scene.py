"""Draws everything around the face: the room, neck and clothes, ears, and glasses."""

from functools import lru_cache

import numpy as np

from .brushes import Canvas, Plane, blob, bump, color, inside, paint, plane_noise, rgb, smooth, tint
from .head_view import HeadView, Region
from .identity import Identity
from .lighting import Light
from .skin import EYE_V

COVERED_EARS = ("fringe", "long", "wavy")


@lru_cache(maxsize=8)
def paint_room(identity: Identity, size_px: int) -> Canvas:
    """Returns the room behind a person; it is cached, so callers must not change it."""
    rng = np.random.default_rng([identity.seed, 0xB6])
    steps = (np.arange(size_px, dtype=np.float32) + 0.5) / size_px
    x, y = steps[None], steps[:, None]
    wall, detail = color(identity.background), color(identity.background_detail)
    side = -1.0 if identity.light_x > 0 else 1.0
    glow = blob(x, y, (0.5 - 0.28 * side, 0.30), (0.42, 0.46))
    room = wall * (0.62 + 0.46 * glow)
    if identity.background_kind == "gradient":
        paint(room, detail * (0.55 + 0.3 * glow), 0.65 * smooth(0.35, 1.05, y + 0 * x))
    elif identity.background_kind == "bokeh":
        _paint_bokeh(room, identity, x, y, rng)
    elif identity.background_kind == "wall":
        room *= 1 + 0.030 * plane_noise(rng, (size_px, size_px), (size_px / 9, size_px / 9))
        paint(room, detail * (0.60 + 0.3 * glow), smooth(0.70, 0.72, y + 0 * x))
        tint(room, np.float32(0.8), bump(y + 0 * x, 0.705, 0.006))
    else:
        _paint_window(room, x, y, side)
    room *= 1.04 - 0.42 * ((x - 0.5) ** 2 + (y - 0.45) ** 2)
    return np.clip(room, 0, 1)


def _paint_bokeh(room: Canvas, identity: Identity, x, y, rng: np.random.Generator) -> None:
    """Paints blurred lights."""
    room *= 0.72
    for _ in range(16):
        place = rng.uniform(-0.05, 1.05), rng.uniform(-0.05, 0.75)
        radius = rng.uniform(0.025, 0.085)
        far = np.hypot(x - place[0], y - place[1])
        tone = color(identity.background_detail) * 0.6 + color((255, 226, 180)) * rng.uniform(0.2, 0.55)
        disc = smooth(radius, 0.84 * radius, far) * (0.75 + 0.25 * smooth(0.5 * radius, radius, far))
        room += rng.uniform(0.10, 0.34) * disc * tone


def _paint_window(room: Canvas, x, y, side: float) -> None:
    """Paints a blurred window on the side of the light."""
    place = x if side > 0 else 1 - x
    pane = smooth(0.30, 0.25, place) * smooth(0.10, 0.15, y) * smooth(0.72, 0.67, y)
    bars = np.maximum(bump(place + 0 * y, 0.105, 0.008), bump(y + 0 * x, 0.40, 0.008))
    sky = rgb(0.86, 0.92, 0.97) * (1.02 - 0.25 * y)
    paint(room, sky, 0.85 * pane * (1 - 0.8 * bars))


def paint_body(canvas: Canvas, view: HeadView, light: Light) -> None:
    """Paints neck, shoulders and clothes; they follow half of the head's shift, and not its turns."""
    size = view.size_px
    middle_x = size * 0.5 + 0.55 * (view.neck_x - size * 0.5)
    base_y = size * 0.925 + 0.55 * size * view.pose.dy
    region = Region(0, 0.70 * size, size, size, size)
    x = (np.arange(region.x1, region.x2, dtype=np.float32)[None] + 0.5 - middle_x) / (0.645 * size)
    y = (np.arange(region.y1, region.y2, dtype=np.float32)[:, None] + 0.5 - base_y) / (0.645 * size)
    lean = (view.neck_x - middle_x) / (0.645 * size) + 0.10 * view.sin_yaw - 0.25 * view.sin_roll
    part = region.of(canvas)
    _paint_clothes(part, view, light, x, y, behind=True)
    _paint_neck(part, view, light, x - lean * smooth(0.02, -0.30, y), y)
    _paint_clothes(part, view, light, x, y, behind=False)


def _paint_neck(part: Canvas, view: HeadView, light: Light, x: Plane, y: Plane) -> None:
    identity = view.identity
    half = 0.205 * (0.35 + 0.65 * identity.jaw_width) + 0.13 * smooth(-0.10, 0.12, y) ** 2
    t = np.clip(x / half, -1, 1)
    shade = 0.52 + 0.22 * np.sqrt(1 - t * t) + 0.22 * light.direction[0] * t
    shade = shade * (0.62 + 0.38 * smooth(-0.10, 0.07, y + 0.05 * t * t))  # the chin's shadow
    skin = color(identity.skin) * (0.82 * light.key + 0.82 * light.ambient) * rgb(1.06, 0.98, 0.96)
    paint(part, skin * (shade + 0.06), view.covered(half - np.abs(x)))


def _neck_hole(identity: Identity, x: Plane, y: Plane) -> Plane:
    """Returns the distance of places from the edge of the neckline, positive inside."""
    if identity.collar == "crew":
        return (1 - np.hypot(x * (1 / 0.235), (y + 0.035) * (1 / 0.085))) * 0.085
    return 0.225 - np.abs(x) * 1.05 - np.maximum(y + 0.03, 0) * (0.9 if identity.collar == "v_neck" else 1.3)


def _paint_clothes(part: Canvas, view: HeadView, light: Light, x: Plane, y: Plane, behind: bool) -> None:
    """Paints the clothes, or only the part behind the neck."""
    identity = view.identity
    side = np.abs(x)
    if behind:
        shape = (1 - np.hypot(x * (1 / 0.25), (y + 0.04) * (1 / 0.075))) * 0.075
        paint(part, color(identity.clothes) * 0.35, view.covered(shape))
        return
    shoulder = -0.065 + 0.62 * np.clip(side - 0.20, 0, None) ** 1.55 + 0.02 * smooth(0.25, 0.1, side)
    hole = _neck_hole(identity, x, y)
    alpha = view.covered(y - shoulder) * view.covered(-hole)
    depth = smooth(0.0, 0.16, y - shoulder)
    folds = 0.05 * np.sin(18 * x + 9 * y) * smooth(0.3, 0.6, side) + 0.04 * np.sin(31 * side - 14 * y)
    shade = 0.66 + 0.24 * depth + 0.30 * light.direction[0] * x + folds - 0.20 * bump(hole, 0.0, 0.016)
    cloth = color(identity.clothes) * (light.key + light.ambient) * shade
    if identity.collar == "crew":
        trim = view.covered(hole + 0.022)
        cloth = cloth * (1 - 0.18 * trim)
    elif identity.collar == "shirt":
        flap = view.covered(0.062 - np.abs(hole + 0.050)) * view.covered(0.19 - y)
        paint(cloth, color(identity.clothes_detail) * (0.80 + 0.3 * light.direction[0] * x), flap)
        tint(cloth, np.float32(0.62), bump(hole, -0.114, 0.005) * smooth(0.2, 0.18, y))
    paint(part, cloth, alpha)


def paint_ears(canvas: Canvas, view: HeadView, light: Light) -> None:
    """Paints the ears beside the head; the head is painted over them later."""
    if view.identity.hair_style in COVERED_EARS:
        return
    for side in (-1, 1):
        x = side * 0.392 * view.identity.face_width - 0.045 * view.sin_yaw
        _paint_ear(canvas, view, light, side, x, float(smooth(0.14, 0.07, -side * np.deg2rad(view.pose.yaw))))


def paint_near_ear(canvas: Canvas, view: HeadView, light: Light) -> None:
    """Paints the near ear of a turned head over skin and hair."""
    yaw = np.deg2rad(view.pose.yaw)
    side = -1 if yaw > 0 else 1
    angle = np.arcsin(0.80) - 0.8 * abs(yaw)
    shown = float(smooth(0.05, 0.12, abs(yaw)))
    if view.identity.hair_style not in COVERED_EARS:
        _paint_ear(canvas, view, light, side, side * 0.49 * float(np.sin(angle)) * view.identity.face_width, shown)


def _paint_ear(canvas: Canvas, view: HeadView, light: Light, side: int, center_x: float, shown: float) -> None:
    """Paints one ear around an upright place; `side` is -1 for the left one."""
    if not shown:
        return
    identity = view.identity
    center_y = -0.015 - 0.05 * view.sin_pitch
    region = view.region_upright(center_x - 0.11, center_y - 0.16, center_x + 0.11, center_y + 0.16)
    if region.empty:
        return
    x, y = view.upright(region)
    x, y = (x - center_x) * side * (1 / identity.ear_size), (y - center_y) * (1 / identity.ear_size)
    x = x + 0.16 * np.minimum(y, 0) + 0.02 * smooth(0.0, 0.1, y)
    far = np.hypot(x * (1 / 0.066), y * (1 / 0.115))
    shade = 0.74 + 0.16 * bump(far, 0.83, 0.12) - 0.26 * bump(far, 0.50, 0.17) * smooth(0.09, -0.02, y)
    shade = shade * (1 + 0.25 * side * light.direction[0])
    skin = color(identity.skin) * (light.key + light.ambient) * rgb(1.06, 0.92, 0.90)
    alpha = shown * view.covered((1 - far) * 0.07) * smooth(-0.062, -0.02, x)
    paint(region.of(canvas), skin * shade, alpha)


def paint_glasses(canvas: Canvas, view: HeadView, head: Region, face_inside: Plane) -> None:
    """Paints glasses in front of the face; `face_inside` is the distance of `head`'s pixels from its outline."""
    identity = view.identity
    if identity.glasses == "none":
        return
    middle_v = EYE_V + identity.eye_height + 0.012
    region = view.region_on_head(-0.43, middle_v - 0.15, 0.43, middle_v + 0.16)
    u, v, _ = view.on_head(*view.upright(region))
    u, v = u - 0.045 * view.sin_yaw, v - 0.03 * view.sin_pitch
    part = region.of(canvas)
    x, y = np.abs(u) - 0.178 * identity.eye_distance, v - middle_v
    lens = lens_edge(identity.glasses, x, y)
    pixel = 1.3 * view.pixel
    paint(part, np.float32(1), 0.07 * inside(lens, pixel) * smooth(0.02, 0.05, np.abs(u - 0.6 * y - 0.17) % 0.3))
    rim = inside(0.0075 - np.abs(lens), pixel)
    bridge = inside(0.006 - np.abs(y + 0.022 + 0.6 * u * u), pixel) * inside(-lens, pixel) * (np.abs(u) < 0.12)
    temple = (
        inside(0.007 - np.abs(y + 0.03), pixel)
        * inside(-lens, pixel)
        * smooth(0.24, 0.27, np.abs(u))
        * view.covered(region.of(face_inside, head))
    )
    tint(
        part,
        rgb(0.80, 0.74, 0.72),
        0.5 * inside(0.012 - np.abs(lens_edge(identity.glasses, x, y - 0.014)), 6 * pixel),
    )
    frame = color(identity.frame) * (1 + 0.7 * bump(y, -0.07, 0.02))
    paint(part, frame, np.maximum(np.maximum(rim, bridge), temple))


def lens_edge(kind: str, x: Plane, y: Plane) -> Plane:
    """Returns the distance of places from the edge of a lens around (0, 0), positive inside."""
    if kind == "round":
        return 0.112 - np.hypot(x, y)
    bx, by = np.abs(x) - 0.078, np.abs(y) - 0.046
    return 0.038 - np.hypot(np.maximum(bx, 0), np.maximum(by, 0)) - np.minimum(np.maximum(bx, by), 0)
