"""Converts between pixels and places on the head: pose, proportions and the head's outline.

Places are in face units: (0, 0) is between the eyes and the tip of the nose, u goes right and v down on a head that
faces the viewer, and 1 is the height of the face box.
"""

from functools import lru_cache

import numpy as np

from ..boxes import FaceBox
from .brushes import Plane, bump, inside, look_up, smooth
from .identity import Identity
from .lifelike.turning import turning_of
from .motion import Pose

# The face box: its upper edge in v, width by height, height by the frame's side, y of its center in the frame.
BOX_TOP_V, BOX_ASPECT, BOX_PART, BOX_CENTER_Y = -0.40, 0.95, 0.645, 0.590
MOUTH_V, CHIN_V, CHIN_DROP = 0.306, 0.470, 0.085
NOSE_BASE_V = 0.192
_SPHERE = (0.52, 0.74)  # half-axes of the ellipsoid with the facial features
PIVOT_V = 0.5  # the neck, around which the head tilts
_PITCH_GAIN = 0.62  # the ellipsoid is taller than deep, so nods move features less than its height suggests
_OUTLINE_ENTRIES = 2048


class Region:
    """A rectangle of whole pixels inside the frame, as slices."""

    def __init__(self, x1: float, y1: float, x2: float, y2: float, size_px: int):
        self.x1, self.y1 = (int(np.clip(np.floor(edge), 0, size_px)) for edge in (x1, y1))
        self.x2, self.y2 = (int(np.clip(np.ceil(edge), 0, size_px)) for edge in (x2, y2))

    @property
    def empty(self) -> bool:
        """Whether it is outside the frame."""
        return self.x2 <= self.x1 or self.y2 <= self.y1

    def of(self, planes: np.ndarray, origin: "Region | None" = None) -> np.ndarray:
        """Its part of planes (..., H, W), which cover the frame, or the region `origin` of it."""
        x, y = (origin.x1, origin.y1) if origin else (0, 0)
        return planes[..., max(0, self.y1 - y) : max(0, self.y2 - y), max(0, self.x1 - x) : max(0, self.x2 - x)]


class HeadView:
    """The head of one person in one pose, in a frame of `size_px`.

    Attributes:
        unit_px: pixels per face unit.
        pixel: face units per pixel.
    """

    def __init__(self, identity: Identity, pose: Pose, size_px: int):
        self.identity, self.pose, self.size_px = identity, pose, size_px
        self.unit_px = size_px * BOX_PART * pose.scale
        self.pixel = 1 / self.unit_px
        roll = np.deg2rad(pose.roll)
        self.cos_roll, self.sin_roll = float(np.cos(roll)), float(np.sin(roll))
        yaw, pitch = np.deg2rad(pose.yaw), np.deg2rad(pose.pitch) * _PITCH_GAIN
        self.sin_yaw, self.cos_yaw = float(np.sin(yaw)), float(np.cos(yaw))
        self.sin_pitch, self.cos_pitch = float(np.sin(pitch)), float(np.cos(pitch))
        neck_y = BOX_CENTER_Y + (PIVOT_V - BOX_TOP_V - 0.5) * BOX_PART
        self.neck_x, self.neck_y = size_px * (0.5 + pose.dx), size_px * (neck_y + pose.dy)

    def upright(self, region: Region) -> tuple[Plane, Plane]:
        """The region's pixels in face units, with tilt and shift undone, but not turn and nod."""
        x = (np.arange(region.x1, region.x2, dtype=np.float32) + np.float32(0.5 - self.neck_x)) * self.pixel
        y = (np.arange(region.y1, region.y2, dtype=np.float32) + np.float32(0.5 - self.neck_y)) * self.pixel
        return (
            x[None] * self.cos_roll + y[:, None] * self.sin_roll,
            y[:, None] * self.cos_roll - x[None] * self.sin_roll + np.float32(PIVOT_V),
        )

    def on_head(self, x: Plane, y: Plane) -> tuple[Plane, Plane, Plane]:
        """The places (u, v) at upright (x, y), and the depth there: 1 in the middle, 0 at the rim."""
        x, y = x * np.float32(1 / _SPHERE[0]), y * np.float32(1 / _SPHERE[1])
        depth = np.sqrt(np.maximum(1 - x * x - y * y, 0.0004))
        u = x * self.cos_yaw - depth * self.sin_yaw
        turned = x * self.sin_yaw + depth * self.cos_yaw
        v = y * self.cos_pitch - turned * self.sin_pitch
        return u * np.float32(_SPHERE[0]), v * np.float32(_SPHERE[1]), depth

    def to_pixel(self, u: float, v: float) -> tuple[float, float]:
        """The pixel (x, y) of the place (u, v)."""
        u, v = u / _SPHERE[0], v / _SPHERE[1]
        depth = np.sqrt(max(1 - u * u - v * v, 0.0))
        y = v * self.cos_pitch + depth * self.sin_pitch
        depth = depth * self.cos_pitch - v * self.sin_pitch
        x = u * self.cos_yaw + depth * self.sin_yaw
        return self.upright_to_pixel(x * _SPHERE[0], y * _SPHERE[1])

    def upright_to_pixel(self, x: float, y: float) -> tuple[float, float]:
        """The pixel (x, y) of an upright place."""
        y -= PIVOT_V
        return (
            self.neck_x + (x * self.cos_roll - y * self.sin_roll) * self.unit_px,
            self.neck_y + (x * self.sin_roll + y * self.cos_roll) * self.unit_px,
        )

    def region_on_head(self, u1: float, v1: float, u2: float, v2: float) -> Region:
        """A region of pixels that contains a rectangle of places on the head."""
        return self._around([self.to_pixel(u, v) for u in (u1, (u1 + u2) / 2, u2) for v in (v1, v2)])

    def region_upright(self, x1: float, y1: float, x2: float, y2: float) -> Region:
        """A region of pixels that contains an upright rectangle."""
        return self._around([self.upright_to_pixel(x, y) for x in (x1, x2) for y in (y1, y2)])

    def _around(self, corners: list[tuple[float, float]]) -> Region:
        x, y = zip(*corners, strict=True)
        return Region(min(x) - 2, min(y) - 2, max(x) + 2, max(y) + 2, self.size_px)

    def straight(self, x: Plane, y: Plane, chin_drop: float) -> tuple[Plane, Plane]:
        """Upright places, with the effect of turn, nod and jaw on the outline undone."""
        low = smooth(-0.15, 0.45, y)
        x = x - self.sin_yaw * (0.02 + 0.09 * low)
        y = y - self.sin_pitch * (0.05 + 0.22 * low)
        return x, y - chin_drop * smooth(MOUTH_V - 0.05, CHIN_V + 0.03, y)

    def face_inside(self, x: Plane, y: Plane) -> Plane:
        """Distance of straight places from the outline of the bare head, positive inside."""
        return look_up(head_outline(self.identity), -np.pi, np.pi, np.arctan2(y, x)) - np.hypot(x, y)

    def covered(self, distance: Plane) -> Plane:
        """Coverage of pixels `distance` inside an edge."""
        return inside(distance, 1.3 * self.pixel)


def pull_features(u: Plane, v: Plane, view: HeadView) -> tuple[Plane, Plane]:
    """Places on a head with a flat nose: when the head turns, the nose moves further than the rest."""
    out = bump(u, 0, 0.10) * bump(v, 0.15, 0.10)
    return u - (0.11 * view.sin_yaw) * out, v - (0.08 * view.sin_pitch) * out


@lru_cache(maxsize=64)
def head_outline(identity: Identity) -> np.ndarray:
    """Distance of the outline from the center by angle, -pi to pi, with the chin up: a table for `look_up`."""
    wide, jaw, chin = identity.face_width, identity.jaw_width, identity.chin_width
    half = [
        (0.0, -0.635), (0.155, -0.618), (0.28, -0.55), (0.36, -0.42), (0.390, -0.26), (0.391, -0.10),
        (0.385, 0.01), (0.368 * (0.5 + 0.5 * jaw), 0.13), (0.330 * jaw, 0.25), (0.268 * jaw, 0.355),
        (0.185 * (0.4 + 0.6 * jaw) * (0.5 + 0.5 * chin), 0.432), (0.100 * chin, CHIN_V - 0.007), (0.0, CHIN_V),
    ]  # fmt: skip
    right = np.array(half) * (wide, 1)
    left = right[-2:0:-1] * (-1, 1)
    points = np.concatenate([right, left])
    angle = np.unwrap(np.arctan2(points[:, 1], points[:, 0]))
    radius = np.hypot(points[:, 0], points[:, 1])
    wanted = np.linspace(-np.pi, np.pi, _OUTLINE_ENTRIES)
    rounds = np.concatenate([angle + turn * 2 * np.pi for turn in (-2, -1, 0, 1, 2)])
    line = np.interp(wanted, rounds, np.tile(radius, 5))
    reach = _OUTLINE_ENTRIES // 24
    kernel = np.hanning(2 * reach + 1)
    return np.convolve(np.pad(line, reach, mode="wrap"), kernel / kernel.sum(), mode="valid").astype(np.float32)


def face_box(identity: Identity, pose: Pose, size_px: int = 256) -> FaceBox:
    """Returns the true face box, from the forehead to just below a lowered chin; it does not depend on the mouth.

    It follows the position and size of the head, and keeps its shape. Coordinates are not rounded.
    """
    if identity.traits is not None:
        return _lifelike_box(identity, pose, size_px)
    view = HeadView(identity, pose, size_px)
    x, y = view.to_pixel(0.0, BOX_TOP_V + 0.5)
    mouth_x, _ = view.to_pixel(0.0, MOUTH_V)
    x = (x + mouth_x) / 2
    height = view.unit_px
    width = BOX_ASPECT * height
    return FaceBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _lifelike_box(identity: Identity, pose: Pose, size_px: int) -> FaceBox:
    """The face box of a head in the round: around the middle of the face, and the mouth in its lower half."""
    view, turning = HeadView(identity, pose, size_px), turning_of(pose)
    places = ((0.0, BOX_TOP_V + 0.5, 0.36), (0.0, MOUTH_V, 0.40))
    (x, y), (mouth_x, mouth_y) = (view.upright_to_pixel(*turning.turned(*place)[:2]) for place in places)
    height = view.unit_px
    y = (y + mouth_y - (MOUTH_V - BOX_TOP_V - 0.5) * height) / 2
    x, width = (x + mouth_x) / 2, BOX_ASPECT * height
    return FaceBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
