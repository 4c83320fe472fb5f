"""How many sessions a machine carries, and at which rate: measured, not guessed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .painting import LivePainting, Painter
from .workers import most_workers, start_workers

RATES = (Fraction(25), Fraction(20), Fraction(15), Fraction(25, 2), Fraction(10), Fraction(5))
# Share of the time that painting may take: the rest is for compositing, sound and other work, about 4 ms a frame, and
# for pictures to be encoded. A single painter keeps more: it has to wait for all cores.
LOAD, WORKERS_LOAD = 0.7, 0.8
# A batch that takes longer would make the delay too long.
MOST_BATCH_S = 0.16
MAX_SESSIONS, RUNS = 16, 3


@dataclass(frozen=True)
class Capacity:
    """What a machine carries.

    Attributes:
        sessions: how many speak at once; 0 if the machine is too slow for one.
        batch_size: faces painted at a time.
        fps: frames per second.
        batch_s: seconds that painting a batch takes.
        workers: threads that paint, each a batch of its own.
    """

    sessions: int
    batch_size: int
    fps: Fraction
    batch_s: float
    workers: int = 1


def measure_capacity(
    pipe: Diff2LipPipeline,
    settings: LivePainting | None = None,
    fps: Fraction | float | None = None,
    max_sessions: int = MAX_SESSIONS,
) -> Capacity:
    """Paints and returns what the machine keeps: single faces in all threads, or batches of growing size in one.

    Args:
        pipe: the pipeline.
        settings: how it paints.
        fps: the rate to keep; by default the highest of 25, 20, 15, 12.5, 10 and 5 that one session keeps.
        max_sessions: sessions beyond these are not tried.
    """
    settings = settings or LivePainting()
    rates = RATES if fps is None else (Fraction(fps).limit_denominator(1001),)
    best = None
    for found in _capacities(pipe, settings, rates, max_sessions):
        best = max(best or found, found, key=lambda one: (one.sessions > 0, one.fps, one.sessions))
        if best.sessions:  # cores that share a frame paint no more of them, only each in less time
            break
    assert best is not None
    return best


def _capacities(
    pipe: Diff2LipPipeline, settings: LivePainting, rates: tuple[Fraction, ...], max_sessions: int
) -> Iterator[Capacity]:
    workers = most_workers(pipe)
    if workers > 1:
        yield _of_workers(_batch_s(pipe, settings, 1, workers), workers, rates, max_sessions)
    yield _of_batches(pipe, settings, rates, max_sessions)


def _of_workers(batch_s: float, workers: int, rates: tuple[Fraction, ...], max_sessions: int) -> Capacity:
    """What threads carry that paint single faces side by side."""
    room = WORKERS_LOAD * workers if batch_s <= MOST_BATCH_S else 0.0
    rate = next((rate for rate in rates if batch_s * rate <= room), rates[-1])
    sessions = next((count for count in range(max_sessions, 0, -1) if count * batch_s * rate <= room), 0)
    return Capacity(sessions, 1, rate, batch_s, workers)


def _of_batches(
    pipe: Diff2LipPipeline, settings: LivePainting, rates: tuple[Fraction, ...], max_sessions: int
) -> Capacity:
    """What one thread carries that paints a face of each session at a time."""
    single_s = _batch_s(pipe, settings, 1)
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


def _batch_s(pipe: Diff2LipPipeline, settings: LivePainting, size: int, workers: int = 1) -> float:
    """Seconds that a batch takes while all threads paint: the median of a few, after one to warm up."""
    painter, crop = Painter(pipe, size, settings), pipe.unet.config.sample_size
    crops, times = [np.zeros((crop, crop, 3), np.uint8)] * size, []

    def paint() -> None:
        painter.faces(crops, [painter.silence] * size)
        for _ in range(RUNS):
            start_s = time.monotonic()
            painter.faces(crops, [painter.silence] * size)
            times.append(time.monotonic() - start_s)

    if workers == 1:
        paint()
    else:
        for thread in start_workers(paint, workers):
            thread.join()
    return float(np.median(times))
