"""When and where hands and microphones are before a face."""

from typing import NamedTuple

import numpy as np

from ..brushes import smooth
from ..motion import Cover

KINDS = ("none", "microphone", "stand", "hand")
_SHARES = (0.66, 0.11, 0.08, 0.15)
_HIDDEN_Y = 1.5  # far below the chin


def draw_covers(seed: int, times_s: np.ndarray) -> list[Cover | None]:
    """Returns what is before the face of a lifelike person at each time; None while nothing is.

    Each is a function of time alone, so it does not depend on the other times.
    """
    rng = np.random.default_rng([seed, 0xC0F])
    kind = str(rng.choice(KINDS, p=_SHARES))
    if kind == "none":
        return [None] * len(times_s)
    side = float(rng.choice((-1, 1)))
    size = float(rng.uniform(0.85, 1.2))
    stays = kind != "hand"
    visits = _draw_visits(rng, kind, side)
    covers = []
    for time_s in times_s:
        x, y, angle = _place(visits, float(time_s), stays)
        covers.append(None if y > _HIDDEN_Y - 0.1 else Cover(kind, x, y, angle, size * side))
    return covers


class _Visit(NamedTuple):
    start_s: float
    end_s: float
    x: float
    y: float
    angle: float


def _draw_visits(rng: np.random.Generator, kind: str, side: float) -> list[_Visit]:
    """Where the thing is, and when: y is 0 at the mouth of a head that faces the viewer."""
    if kind != "hand":
        low, high = (0.10, 0.34) if kind == "microphone" else (0.22, 0.42)
        x, y = side * float(rng.uniform(0.0, 0.16)), float(rng.uniform(low, high))
        angle = side * float(rng.uniform(5, 50))
        return [_Visit(at, at + 3.0, x + float(rng.normal(0, 0.012)), y + float(rng.normal(0, 0.02)), angle)
                for at in np.arange(0, 60, 3.0)]  # fmt: skip
    visits, start = [], float(rng.uniform(-0.5, 1.8))
    while start < 60:
        length = float(rng.uniform(0.5, 1.6))
        x, y = side * float(rng.uniform(0.02, 0.42)), float(rng.uniform(-0.28, 0.25))
        visits.append(_Visit(start, start + length, x, y, side * float(rng.uniform(-35, 35))))
        start += length + float(rng.uniform(1.2, 4))
    return visits


def _place(visits: list[_Visit], time_s: float, stays: bool, move_s: float = 0.6) -> tuple[float, float, float]:
    """Place and angle at a time: at a visit, or on the way up or down."""
    if stays:
        after = [visit for visit in visits if visit.start_s <= time_s] or visits[:1]
        now, before = after[-1], after[-2] if len(after) > 1 else after[-1]
        share = float(smooth(0.0, 1.0, (time_s - now.start_s) / 1.2))
        return tuple(b + share * (a - b) for a, b in zip(now[2:], before[2:], strict=True))  # pyright: ignore
    for visit in visits:
        if visit.start_s - move_s < time_s < visit.end_s + move_s:
            into = (time_s - visit.start_s) / move_s + 1
            out = (visit.end_s - time_s) / move_s + 1
            share = float(smooth(0.0, 1.0, min(into, out, 1.0)))
            return visit.x, _HIDDEN_Y + share * (visit.y - _HIDDEN_Y), visit.angle
    return 0.0, _HIDDEN_Y, 0.0
