"""How many sessions a machine carries, and at which rate: measured, not guessed."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .painting import LivePainting, Painter

RATES = (Fraction(25), Fraction(20), Fraction(15), Fraction(25, 2), Fraction(10), Fraction(5))
# Share of the time that painting may take: the rest is for compositing, sound and other work.
LOAD = 0.7
MAX_SESSIONS, RUNS = 16, 3


@dataclass(frozen=True)
class Capacity:
    """What a machine carries.

    Attributes:
        sessions: how many speak at once; 0 if the machine is too slow for one.
        batch_size: faces painted at a time.
        fps: frames per second.
        batch_s: seconds that painting a batch takes.
    """

    sessions: int
    batch_size: int
    fps: Fraction
    batch_s: float


def measure_capacity(
    pipe: Diff2LipPipeline,
    settings: LivePainting | None = None,
    fps: Fraction | float | None = None,
    max_sessions: int = MAX_SESSIONS,
) -> Capacity:
    """Paints batches of growing size and returns what the machine keeps.

    Args:
        pipe: the pipeline.
        settings: how it paints.
        fps: the rate to keep; by default the highest of 25, 20, 15, 12.5, 10 and 5 that one session keeps.
        max_sessions: sessions beyond these are not tried.
    """
    settings = settings or LivePainting()
    single_s = _batch_s(pipe, settings, 1)
    rates = RATES if fps is None else (Fraction(fps).limit_denominator(1001),)
    rate = next((rate for rate in rates if single_s * rate <= LOAD), rates[-1])
    best = Capacity(int(single_s * rate <= LOAD), 1, rate, single_s)
    size = 2
    while best.sessions and size <= max_sessions:
        batch_s = _batch_s(pipe, settings, size)
        if batch_s * rate > LOAD:
            break
        best = Capacity(size, size, rate, batch_s)
        size += 1 if size < 4 else size // 2
    return best


def _batch_s(pipe: Diff2LipPipeline, settings: LivePainting, size: int) -> float:
    """Seconds that a batch takes: the median of a few, after one to warm up."""
    painter, crop = Painter(pipe, size, settings), pipe.unet.config.sample_size
    crops, times = [np.zeros((crop, crop, 3), np.uint8)] * size, []
    for _ in range(RUNS + 1):
        painter.paint_s = 0.0
        with torch.no_grad():
            painter.faces(crops, [painter.silence] * size)
        times.append(painter.paint_s)
    return float(np.median(times[1:]))
