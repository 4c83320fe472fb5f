"""Motion of the head: turns, nods and tilts with pauses between them, blinks, brows and glances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG = 20.0, 8.0, 8.0
_BLINK_S = 0.26


@dataclass(frozen=True)
class Cover:
    """A thing before a face, in face units.

    Attributes:
        kind: what it is.
        x, y: its place, right of and below the mouth of a head that faces the viewer.
        angle: in degrees, clockwise.
        size: 1 is normal; negative for its mirror image.
    """

    kind: str
    x: float
    y: float
    angle: float
    size: float


@dataclass(frozen=True)
class Pose:
    """Pose of the head, and state of eyes and brows.

    Attributes:
        yaw: turn in degrees, positive toward the right edge of the frame.
        pitch: nod in degrees, positive down.
        roll: tilt in degrees, positive clockwise.
        dx, dy: shift as a fraction of the frame's side, right and down.
        scale: size; 1 is normal.
        blink: 0 for open eyes, 1 for closed eyes.
        brow: 0 for brows at rest, 1 for raised brows.
        gaze_x, gaze_y: direction of the eyes, -1 to 1, right and down.
        cover: what is before the face.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0
    blink: float = 0.0
    brow: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    cover: Cover | None = None


def draw_motion(seed: int, times_s: Sequence[float] | np.ndarray, liveliness: float = 1.0) -> list[Pose]:
    """Returns the pose at each time; the same seed always gives the same motion.

    The motion is a function of time, so a pose does not depend on the other times.

    Args:
        seed: 0 or greater.
        times_s: times in seconds, 0 or later, in any order.
        liveliness: scales all turns, nods and shifts; with 0 the head is still and only blinks.

    Raises:
        ValueError: for a negative seed or time, or a liveliness outside [0, 1].
    """
    times = np.asarray(times_s, dtype=np.float64)
    if seed < 0:
        raise ValueError(f"seed must be 0 or greater, got {seed}")
    if times.size and times.min() < 0:
        raise ValueError(f"times_s must be 0 or later, got {times.min()}")
    if not 0 <= liveliness <= 1:
        raise ValueError(f"liveliness must be from 0 to 1, got {liveliness}")
    if not times.size:
        return []
    end = float(times.max())
    streams = np.random.default_rng([seed, 0x303]).spawn(10)
    yaw, pitch, roll = (
        most * liveliness * _wander(rng, times, end, pause_s=1.1)
        for rng, most in zip(streams, (MAX_YAW_DEG, MAX_PITCH_DEG, MAX_ROLL_DEG), strict=False)
    )
    dx, dy, scale = (liveliness * _wander(rng, times, end, pause_s=1.6) for rng in streams[3:6])
    gaze_x = 0.75 * _wander(streams[7], times, end, pause_s=1.2, move_s=0.1) - 0.35 * yaw / MAX_YAW_DEG
    columns = {
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "dx": 0.028 * dx + 0.01 * yaw / MAX_YAW_DEG,
        "dy": 0.014 * dy + 0.006 * pitch / MAX_PITCH_DEG,
        "scale": 1 + 0.035 * scale,
        "blink": _blinks(streams[6], times, end),
        "brow": np.clip(1.6 * _wander(streams[8], times, end, pause_s=1.0, move_s=0.3) - 0.3, 0, 1),
        "gaze_x": np.clip(gaze_x, -1, 1),
        "gaze_y": 0.5 * _wander(streams[9], times, end, pause_s=1.4, move_s=0.1),
    }
    return [Pose(*map(float, row)) for row in zip(*columns.values(), strict=True)]  # pyright: ignore[reportArgumentType]


def _wander(rng: np.random.Generator, times: np.ndarray, end_s: float, pause_s: float, move_s: float = 0.55):
    """Returns values in [-1, 1] that pause, move smoothly to a new value, and pause again; small values are common."""
    start, place = 0.0, float(np.clip(0.3 * rng.normal(), -1, 1))
    values = np.full(times.shape, place)
    while start < end_s:
        start += float(rng.exponential(pause_s))
        target = float(np.clip(0.42 * rng.normal(), -1, 1))
        length = move_s * (0.7 + 0.8 * abs(target - place)) * float(rng.uniform(0.8, 1.4))
        t = np.clip((times - start) / length, 0, 1)
        values += (target - place) * t**3 * (10 - 15 * t + 6 * t * t)
        start, place = start + length, target
    return np.clip(values, -1, 1)


def _blinks(rng: np.random.Generator, times: np.ndarray, end_s: float) -> np.ndarray:
    """Returns how far the lids are closed: a blink every few seconds, fast to close and slower to open."""
    closed = np.zeros(times.shape)
    start = float(rng.uniform(0.4, 3))
    while start < end_s:
        t = (times - start) / _BLINK_S
        shut = np.clip(t / 0.3, 0, 1) * np.clip((1 - t) / 0.5, 0, 1)
        closed = np.maximum(closed, np.where((t > 0) & (t < 1), shut * shut * (3 - 2 * shut), 0))
        start += float(rng.uniform(0.5, 0.9) if rng.random() < 0.1 else rng.uniform(1.6, 5.5))
    return closed
