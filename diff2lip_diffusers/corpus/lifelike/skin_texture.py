"""The skin of a lifelike face, once per person: colors, pores, wrinkles, spots, make-up, brows and short beards."""

from functools import lru_cache

import numpy as np

from ..brushes import Plane, blob, bump, color, paint, plane_noise, rgb, smooth, tint
from ..head_view import CHIN_V
from ..identity import Identity
from ..skin import BROW_V, EYE_U, EYE_V, HIGH_U, HIGH_V, LOW_U, LOW_V, Skin, fold, paint_nose, pair
from .beard import beard_area

_RESOLUTIONS = (160, 260, 400, 620, 900)  # entries per face unit


def skin_for(identity: Identity, unit_px: float) -> Skin:
    """The skin of a person whose face unit is `unit_px` pixels."""
    wanted = 1.5 * unit_px
    return _paint(identity, next((entries for entries in _RESOLUTIONS if entries >= wanted), _RESOLUTIONS[-1]))


class _Sheet:
    """Planes of the skin that is being painted, and noise in face units."""

    def __init__(self, identity: Identity, resolution: int):
        columns, rows = int(resolution * (HIGH_U - LOW_U)), int(resolution * (HIGH_V - LOW_V))
        self.u = np.linspace(LOW_U, HIGH_U, columns, dtype=np.float32)[None]
        self.v = np.linspace(LOW_V, HIGH_V, rows, dtype=np.float32)[:, None]
        self.side = np.abs(self.u)
        self.paints = np.broadcast_to(color(identity.skin), (3, rows, columns)).copy()
        self.height = np.zeros((rows, columns), np.float32)  # fine relief, in face units
        self._seed, self._resolution = identity.seed, resolution

    def noise(self, stream: int, width: float, height: float | None = None) -> Plane:
        """Noise around 0 with a new value every `width` by `height` face units."""
        rng = np.random.default_rng([self._seed, 0x5C2, stream])
        cell = (max(height or width, 1.01 / self._resolution) * self._resolution, max(width * self._resolution, 1.01))
        return plane_noise(rng, self.height.shape, cell)

    def rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 0x5C3, stream])


@lru_cache(maxsize=4)
def _paint(identity: Identity, resolution: int) -> Skin:
    sheet = _Sheet(identity, resolution)
    _paint_complexion(sheet, identity)
    _paint_wrinkles(sheet, identity)
    _paint_spots(sheet, identity)
    paint_nose(sheet.paints, identity, sheet.u, sheet.v)
    _paint_make_up(sheet, identity)
    _paint_stubble(sheet, identity)
    _paint_brows(sheet, identity)
    step = 1 / resolution
    slope_v, slope_u = np.gradient(sheet.height, step, step)
    entries = np.concatenate([np.clip(sheet.paints, 0, 1), slope_u[None], slope_v[None]])
    return Skin(entries.transpose(1, 2, 0).astype(np.float32))


def _paint_complexion(sheet: _Sheet, identity: Identity) -> None:
    """Paints uneven color, blood in cheeks and nose, sockets, and pores."""
    traits, u, v, paints = identity.life, sheet.u, sheet.v, sheet.paints
    rough = traits.texture * (1 - 0.5 * traits.make_up)
    blood = 0.8 * sheet.noise(1, 0.07) + 0.6 * sheet.noise(2, 0.02)
    tint(paints, rgb(1.02, 0.93, 0.92), np.clip(0.20 * rough * blood + 0.15, 0, 1))
    paints *= 1 + rough * (
        0.016 * sheet.noise(3, 0.10) + 0.013 * sheet.noise(4, 0.016) + 0.020 * sheet.noise(5, 0.008)
    )
    rosy, shade, sallow = rgb(1.04, 0.80, 0.79), rgb(0.74, 0.60, 0.58), rgb(1.0, 0.97, 0.88)
    cheeks = pair(u, v, (0.235, 0.115), (0.085, 0.065)) + 0.6 * blob(u, v, (0, 0.15), (0.05, 0.04))
    cheeks = cheeks + 0.25 * blob(u, v, (0, CHIN_V - 0.03), (0.08, 0.04))
    tint(paints, rosy, np.clip(0.36 * identity.blush * cheeks * (1 + 0.35 * blood), 0, 1))
    tint(paints, sallow, 0.5 * blob(u, v, (0, -0.34), (0.26, 0.12)))
    eye_v = EYE_V + identity.eye_height
    tint(paints, shade, 0.42 * pair(u, v, (0.150, eye_v - 0.012), (0.080, 0.038)))
    tint(paints, shade, (0.14 + 0.30 * identity.age) * pair(u, v, (0.155, eye_v + 0.052), (0.055, 0.014)))
    tint(paints, shade, (0.03 + 0.18 * identity.age) * fold(u, v))
    oily = blob(u, v, (0, 0.08), (0.10, 0.14)) + pair(u, v, (0.19, 0.10), (0.11, 0.09))
    pores = sheet.noise(6, 0.0065)
    dots = smooth(0.9, 1.7, pores)
    tint(paints, rgb(0.80, 0.70, 0.66), np.clip(0.40 * rough * dots * (0.25 + oily), 0, 1))
    sheet.height += rough * (
        0.00022 * sheet.noise(7, 0.0085) + 0.00020 * sheet.noise(8, 0.022) - 0.00022 * dots * oily
    )


def _paint_wrinkles(sheet: _Sheet, identity: Identity) -> None:
    """Paints lines on the forehead, at the eyes and beside the mouth; they are furrows, so light finds them."""
    strength = identity.life.wrinkles
    if strength < 0.05:
        return
    u, v, side, rng = sheet.u, sheet.v, sheet.side, sheet.rng(1)
    furrows = np.zeros_like(sheet.height)
    sway = 0.006 * sheet.noise(11, 0.09)
    for place in -0.245 - 0.037 * np.arange(4) + 0.006 * rng.normal(size=4):
        line = v - place + 0.02 * np.cos(6 * u + rng.uniform(-1, 1)) + sway
        furrows += rng.uniform(0.5, 1) * bump(line, 0, 0.0042) * bump(u, rng.uniform(-0.05, 0.05), 0.14)
    frown = bump(side - 0.030 - 0.1 * (v + 0.2), 0, 0.0045) * bump(v, -0.185, 0.035)
    corner_u, corner_v = EYE_U * identity.eye_distance + 0.10, EYE_V + identity.eye_height
    angle = np.arctan2(v - corner_v, side - corner_u + 0.04)
    reach = np.hypot(v - corner_v, side - corner_u)
    feet = (
        bump(np.sin(7.5 * angle + 30 * sway), 1, 0.10)
        * bump(reach, 0.055, 0.028)
        * smooth(0.02, 0.05, side - corner_u + 0.045)
    )
    bags = bump(v - corner_v - 0.070 + 1.6 * (side - 0.16) ** 2, 0, 0.006) * bump(side, 0.16, 0.06)
    marionette = bump(side - 0.135 - 0.25 * (v - 0.34) + sway, 0, 0.006) * bump(v, 0.375, 0.032)
    cheek = bump(np.sin(55 * (side + 0.45 * v) + 60 * sway), 1, 0.3) * blob(side, v, (0.28, 0.20), (0.05, 0.09))
    furrows += 0.7 * frown + 0.6 * feet + 0.7 * bags + 0.8 * marionette + 0.35 * cheek * strength + 0.9 * fold(u, v)
    furrows = np.clip(furrows, 0, 1.3) * strength
    tint(sheet.paints, rgb(0.66, 0.52, 0.50), 0.55 * np.clip(furrows, 0, 1))
    sheet.height -= 0.0020 * furrows


def _paint_spots(sheet: _Sheet, identity: Identity) -> None:
    """Paints freckles, moles, red blemishes, and the spots of age."""
    u, v, rng = sheet.u, sheet.v, sheet.rng(2)
    if identity.freckles:
        spots = smooth(0.7, 1.5, 0.8 * sheet.noise(21, 0.011) + 0.5 * sheet.noise(22, 0.04))
        where = pair(u, v, (0.17, 0.08), (0.13, 0.08)) + 0.7 * blob(u, v, (0, 0.06), (0.07, 0.08))
        tint(sheet.paints, rgb(0.74, 0.58, 0.46), np.clip(0.75 * identity.freckles * spots * where, 0, 1))
    for _ in range(identity.life.moles):
        place, size = (rng.uniform(-0.33, 0.33), rng.uniform(-0.42, 0.45)), rng.uniform(0.0035, 0.008)
        dark = smooth(1.3, 0.7, np.hypot(u - place[0], v - place[1]) * (1 / size))
        tint(sheet.paints, rgb(0.42, 0.32, 0.28), 0.85 * dark)
        sheet.height += 0.25 * size * dark
    for _ in range(rng.integers(0, 6)):
        place, size = (rng.uniform(-0.33, 0.33), rng.uniform(-0.45, 0.45)), rng.uniform(0.007, 0.016)
        tint(sheet.paints, rgb(1.0, 0.68, 0.66), 0.5 * blob(u, v, place, (size, size)))
    if identity.age > 0.55:
        spots = smooth(1.1, 1.6, sheet.noise(23, 0.03)) * smooth(0.15, 0.3, sheet.side)
        tint(sheet.paints, rgb(0.78, 0.64, 0.52), 0.45 * spots)


def _paint_make_up(sheet: _Sheet, identity: Identity) -> None:
    """Paints shadow on the lids, blush, and a lighter nose and chin."""
    strength = identity.life.make_up
    if not strength:
        return
    u, v, side = sheet.u, sheet.v, sheet.side
    eye_u, eye_v = EYE_U * identity.eye_distance, EYE_V + identity.eye_height
    lid = blob(side, v, (eye_u + 0.01, eye_v - 0.050), (0.070, 0.026)) + 0.5 * blob(
        side, v, (eye_u + 0.07, eye_v - 0.03), (0.03, 0.02)
    )
    paint(
        sheet.paints,
        color(identity.life.shadow_color) * color(identity.skin) ** 0.4,
        np.clip(0.62 * strength * lid, 0, 0.8),
    )
    tint(sheet.paints, rgb(1.03, 0.72, 0.74), 0.40 * strength * pair(u, v, (0.27, 0.10), (0.075, 0.045)))
    tint(
        sheet.paints,
        rgb(1.06, 1.05, 1.03),
        0.5 * strength * (blob(u, v, (0, 0.02), (0.02, 0.09)) + pair(u, v, (0.2, 0.04), (0.05, 0.02))),
    )


def _paint_stubble(sheet: _Sheet, identity: Identity) -> None:
    """Paints the hairs of a beard that lie on the skin; longer beards stand above it."""
    if identity.beard == "none":
        return
    area = beard_area(identity.beard, sheet.u, sheet.v)
    hairs = 0.6 * sheet.noise(31, 0.0045, 0.016) + 0.5 * sheet.noise(32, 0.0035, 0.007)
    patchy = sheet.noise(33, 0.03)
    strength = 0.62 if identity.beard == "stubble" else 0.9
    tint(sheet.paints, rgb(0.80, 0.80, 0.84), 0.4 * area)
    alpha = smooth(0.25, 1.0, area + 0.24 * hairs + 0.06 * patchy) * area * strength
    paint(
        sheet.paints,
        color(identity.brow) * np.clip(1 + 0.2 * hairs, 0.5, 1.6),
        alpha * np.clip(0.75 + 0.3 * hairs, 0.2, 1),
    )


def _paint_brows(sheet: _Sheet, identity: Identity) -> None:
    """Paints brows of single hairs that lean outward, dense at the nose and thin at the temple."""
    side, v = sheet.side, sheet.v
    t = (side - 0.070) / 0.185  # 0 at the inner end, 1 at the outer
    arch = 0.028 * identity.brow_arch * (1 - ((t - 0.55) / 0.75) ** 2)
    middle = BROW_V - identity.brow_height + identity.eye_height - arch + 0.012 + 0.10 * identity.eye_slant * t
    half = identity.brow_thickness * (0.0195 * smooth(-0.10, 0.14, t) * (1 - 0.70 * smooth(0.35, 1.05, t)))
    lean = (v - middle) * (1.7 - 0.9 * np.clip(t, 0, 1))
    rng = sheet.rng(3)
    place = (side + lean) * 105
    number = np.floor(place)
    thick = rng.uniform(0.1, 0.5, 256).astype(np.float32)[np.mod(number, 256).astype(int)]
    long = rng.uniform(-0.30, 0.35, 256).astype(np.float32)[np.mod(number * 7 + 3, 256).astype(int)]
    strand = bump((place - number - 0.5) / (0.18 + thick), 0, 1)
    edge = half * (1 + long) - np.abs(v - middle)
    ends = smooth(-0.10, 0.06, t) * smooth(1.08, 0.85, t)
    body = smooth(-0.006, 0.010, half - np.abs(v - middle)) * ends
    hairs = smooth(-0.003, 0.003, edge) * strand * ends
    paint(sheet.paints, color(identity.brow), np.clip(0.42 * body + 0.72 * hairs, 0, 0.94))
