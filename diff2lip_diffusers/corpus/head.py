"""Draws a frame of a talking head: one person, one pose, one mouth shape."""

from collections.abc import Sequence

import numpy as np

from .brushes import paint, smooth
from .eyes import paint_eyes
from .hair import paint_hair_behind, paint_hair_on_head
from .head_view import HeadView, Region, pull_features
from .identity import Identity
from .lifelike.frame import lifelike_canvas, lifelike_mouth_mask
from .lighting import Light, light_of, normals, shine
from .motion import Pose
from .mouth import Mouth, check_mouth, chin_drop, lip_curves, mouth_region, opening_cover, paint_mouth
from .scene import paint_body, paint_ears, paint_glasses, paint_near_ear, paint_room
from .skin import BROW_V, paint_skin

MIN_SIZE_PX = 32
MouthShape = Sequence[float] | np.ndarray
"""Opening, width, rounding, teeth, tongue and jaw, each in [0, 1]."""


def render_frame(identity: Identity, pose: Pose, mouth: MouthShape, size_px: int = 256) -> np.ndarray:
    """Returns a frame with a person, uint8 RGB (size_px, size_px, 3).

    Args:
        identity: the person.
        pose: of the head.
        mouth: opening, width, rounding, teeth, tongue and jaw, each in [0, 1].
        size_px: height and width of the frame.

    Raises:
        ValueError: if `mouth` is not six numbers in [0, 1], or `size_px` is below MIN_SIZE_PX.
    """
    shape = check_mouth(mouth)
    _check_size(size_px)
    draw = _plain_canvas if identity.traits is None else lifelike_canvas
    canvas = draw(identity, pose, shape, size_px)
    pixels = np.clip(canvas, 0, 1) * np.float32(255) + np.float32(0.5)
    return np.ascontiguousarray(pixels.astype(np.uint8).transpose(1, 2, 0))


def _plain_canvas(identity: Identity, pose: Pose, mouth: Mouth, size_px: int) -> np.ndarray:
    """Returns a frame with a plain person, (3, size_px, size_px), about 0 to 1."""
    view = HeadView(identity, pose, size_px)
    light = light_of(identity)
    canvas = paint_room(identity, size_px).copy()
    paint_hair_behind(canvas, view, light)
    paint_body(canvas, view, light)
    paint_ears(canvas, view, light)
    _paint_head(canvas, view, mouth, light)
    return canvas


def render_mouth_mask(identity: Identity, pose: Pose, mouth: MouthShape, size_px: int = 256) -> np.ndarray:
    """Returns the coverage of each pixel by the inside of the mouth, float32 (size_px, size_px) in [0, 1].

    Args and Raises: as for `render_frame`.
    """
    shape = check_mouth(mouth)
    _check_size(size_px)
    if identity.traits is not None:
        return lifelike_mouth_mask(identity, pose, shape, size_px)
    view = HeadView(identity, pose, size_px)
    mask = np.zeros((size_px, size_px), dtype=np.float32)
    region = mouth_region(view)
    u, v, _ = view.on_head(*view.upright(region))
    if shape.opening > 0:
        region.of(mask)[...] = opening_cover(lip_curves(identity, shape, u), u, v, 1.15 * view.pixel)
    return mask


def _check_size(size_px: int) -> None:
    if size_px < MIN_SIZE_PX:
        raise ValueError(f"size_px must be {MIN_SIZE_PX} or greater, got {size_px}")


def _paint_head(canvas: np.ndarray, view: HeadView, mouth, light: Light) -> None:
    """Paints the face, with eyes, mouth, hair, ear and glasses."""
    head = view.region_upright(-0.62, -0.86, 0.62, 0.62)
    x, y = view.upright(head)
    u, v, depth = view.on_head(x, y)
    straight_x, straight_y = view.straight(x, y, chin_drop(mouth))
    within = view.face_inside(straight_x, straight_y)
    lit = _paint_skin(canvas, view, mouth, light, head, (x, y, u, v, depth, within))
    paint_eyes(canvas, view, lit, head)
    place = mouth_region(view)
    here = place.of(u, head), place.of(v, head)
    paint_mouth(place.of(canvas), view, mouth, place.of(lit, head), here)
    paint_hair_on_head(canvas, view, light, head, (straight_x, straight_y, u, v), within)
    paint_near_ear(canvas, view, light)
    paint_glasses(canvas, view, head, within)


def _paint_skin(canvas: np.ndarray, view: HeadView, mouth, light: Light, head: Region, planes) -> np.ndarray:
    """Paints the bare face; returns the light on it, (3, H, W) of the region `head`."""
    x, y, u, v, depth, within = planes
    flat_u, flat_v = pull_features(u, v, view)
    flat_v = flat_v - chin_drop(mouth) * smooth(0.30, 0.50, flat_v)
    flat_v = flat_v + 0.026 * view.pose.brow * smooth(BROW_V + 0.09, BROW_V, flat_v) * smooth(-0.42, BROW_V, flat_v)
    red, green, blue, slope_u, slope_v = paint_skin(view.identity, view.size_px).at(flat_u, flat_v)
    normal = normals(x, y, depth, 1.15 * slope_u, 1.15 * slope_v)
    lit, gloss = shine(light, normal, view.cos_roll, view.sin_roll)
    lit *= 0.74 + 0.26 * smooth(0.0, 0.10, within)  # the rim faces away from the viewer
    face = np.stack([red, green, blue]) * lit + gloss
    paint(head.of(canvas), face, view.covered(within))
    return lit
