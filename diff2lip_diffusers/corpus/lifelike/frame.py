"""Draws a frame with a lifelike person."""

import numpy as np

from ..brushes import Canvas, bump, paint, smooth
from ..eyes import paint_eyes
from ..head_view import CHIN_V, MOUTH_V, Region
from ..identity import Identity
from ..motion import Pose
from ..mouth import Mouth, chin_drop, lip_curves, mouth_region, opening_cover
from ..skin import BROW_V
from .beard_shell import paint_beard_shell
from .body import paint_lifelike_body
from .covers import COVERED_SHARE, covered_share, paint_cover
from .curtains import paint_hair_behind_life, paint_locks
from .ears import paint_ear_before, paint_ears_behind, paint_lifelike_glasses
from .hair_shell import across, hair_height, paint_hair
from .head_rays import Hits, LifeView
from .key_light import KeyLight, diffuse, highlight, key_light
from .mouth_inside import paint_lifelike_mouth
from .rooms import lifelike_room
from .skin_texture import skin_for

_COVER_PX = 128  # size of the frame in which covered mouths are found


def lifelike_canvas(identity: Identity, pose: Pose, mouth: Mouth, size_px: int) -> Canvas:
    """Returns a frame with a lifelike person, (3, size_px, size_px), about 0 to 1."""
    view = LifeView(identity, pose, size_px)
    light = key_light(identity)
    upright = light.turned(view.cos_roll, view.sin_roll)
    canvas = lifelike_room(identity, size_px).copy()
    paint_hair_behind_life(canvas, view, upright)
    paint_lifelike_body(canvas, view, light)
    paint_ears_behind(canvas, view, upright)
    _paint_head(canvas, view, mouth, upright)
    paint_ear_before(canvas, view, upright)
    paint_locks(canvas, view, upright)
    paint_lifelike_glasses(canvas, view, upright)
    paint_cover(canvas, view, light)
    return canvas


def lifelike_mouth_mask(identity: Identity, pose: Pose, mouth: Mouth, size_px: int) -> np.ndarray:
    """Returns the coverage of each pixel by the inside of the mouth, float32 (size_px, size_px) in [0, 1]."""
    view = LifeView(identity, pose, size_px)
    mask = np.zeros((size_px, size_px), np.float32)
    region = mouth_region(view)
    if mouth.opening > 0 and not region.empty:
        hits = view.on_surface(region, view.shape.radii(chin_drop(mouth), mouth.rounding))
        cover = opening_cover(lip_curves(identity, mouth, hits.u), hits.u, hits.v, 1.15 * view.pixel)
        region.of(mask)[...] = cover * hits.cover * (hits.w > 0)
    return mask


def mouth_is_covered(identity: Identity, pose: Pose) -> bool:
    """Whether a thing before the face hides a part of the mouth."""
    if pose.cover is None or identity.traits is None:
        return False
    return covered_share(LifeView(identity, pose, _COVER_PX)) > COVERED_SHARE


def _paint_head(canvas: Canvas, view: LifeView, mouth: Mouth, light: KeyLight) -> None:
    """Paints the face with eyes, mouth and beard, and the hair on the head."""
    region = view.region_upright(-0.66, -0.86, 0.66, 0.72)
    if region.empty:
        return
    radii = view.shape.radii(chin_drop(mouth), mouth.rounding)
    height = hair_height(view.identity)
    hairy = bool(height.any())
    outer = radii + height if hairy else radii
    hits = view.on_surface(region, radii)
    softness = 0.9 - 0.6 * light.hardness
    shadow = view.shaded(hits, outer, light.direction, softness)
    lit = _paint_skin(region.of(canvas), view, mouth, light, hits, shadow)
    paint_beard_shell(canvas, view, light, region, hits, radii, chin_drop(mouth))
    paint_eyes(canvas, _EyeView(view, hits, region), lit, region)  # pyright: ignore[reportArgumentType]
    place = mouth_region(view)
    part = Region(
        max(place.x1, region.x1),
        max(place.y1, region.y1),
        min(place.x2, region.x2),
        min(place.y2, region.y2),
        view.size_px,
    )
    if not part.empty:
        u, v, seen = (part.of(plane, region) for plane in (hits.u, hits.v, hits.cover * (hits.w > 0)))
        around = part.of(lit, region)
        paint_lifelike_mouth(part.of(canvas), view, mouth, light, around, part.of(hits.normal, region), (u, v), seen)
    if hairy:
        on_hair = view.on_surface(region, outer)
        paint_hair(canvas, view, light, region, on_hair, view.shaded(on_hair, outer, light.direction, 0.9))


class _EyeView:
    """The view of the head as `paint_eyes` needs it: places come from the lines of sight."""

    def __init__(self, view: LifeView, hits: Hits, region: Region):
        self._view, self._hits, self._region = view, hits, region
        self.identity, self.pose, self.pixel = view.identity, view.pose, view.pixel
        self.sin_yaw = self.sin_pitch = 0.0  # the nose is in the round already

    def region_on_head(self, u1: float, v1: float, u2: float, v2: float) -> Region:
        around, head = self._view.region_on_head(u1, v1, u2, v2), self._region
        return Region(
            max(around.x1, head.x1), max(around.y1, head.y1), min(around.x2, head.x2), min(around.y2, head.y2),
            self._view.size_px,
        )  # fmt: skip

    def upright(self, region: Region) -> tuple[np.ndarray, np.ndarray]:
        seen = (self._hits.w > 0) & (self._hits.cover > 0)
        u, v = (np.where(seen, plane, np.float32(9)) for plane in (self._hits.u, self._hits.v))
        return region.of(u, self._region), region.of(v, self._region)

    def on_head(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, None]:
        return u, v, None


def _paint_skin(part: Canvas, view: LifeView, mouth: Mouth, light: KeyLight, hits: Hits, shadow) -> np.ndarray:
    """Paints the bare face; returns the light on it, (3, H, W)."""
    drop = chin_drop(mouth)
    u, v = across(hits.u, hits.w), hits.v
    flat_v = v - drop * smooth(MOUTH_V - 0.02, CHIN_V + 0.03, v)
    flat_v = flat_v + 0.026 * view.pose.brow * smooth(BROW_V + 0.09, BROW_V, v) * smooth(-0.42, BROW_V, v)
    red, green, blue, slope_u, slope_v = skin_for(view.identity, view.unit_px).at(u, flat_v)
    t = view.turning
    slope_x, slope_y = slope_u * t.cos_yaw, slope_v * t.cos_pitch
    normal = np.stack([hits.normal[0] - slope_x, hits.normal[1] - slope_y, hits.normal[2]])
    normal /= np.sqrt((normal**2).sum(axis=0) + 1e-6)
    lit = diffuse(light, normal, shadow)
    under = smooth(0.44, 0.52, flat_v) * smooth(0.25, 0.1, hits.w)
    lit *= (1 - 0.45 * under) * (0.82 + 0.18 * smooth(0.05, 0.45, hits.normal[2]))
    oil = 0.5 + 0.9 * bump(u, 0, 0.14) * smooth(0.42, 0.2, np.abs(v + 0.05))
    shine = highlight(light, normal, 0.25 + 0.75 * shadow, oil * view.identity.life.texture)
    paint(part, np.stack([red, green, blue]) * lit + shine, hits.cover)
    return lit
