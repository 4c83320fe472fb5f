"""Which clips a report plays: the best, the worst and those between, by one measure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..measures.table import MEASURES
from ..results import Results
from .goodness import goodness

# The first of these that was measured ranks the clips.
RANKING = ("lse_c", "own_lse_c", "opening_correlation", "psnr_painted", "laplacian_ratio")


@dataclass(frozen=True)
class ShownClip:
    """A clip that the report plays.

    Attributes:
        name: of the clip.
        rank: what it is an example of, such as "best".
    """

    name: str
    rank: str


def ranking_measure(results: Results) -> str | None:
    """Returns the measure that ranks the clips; None if none of the usual ones was measured."""
    return next((name for name in RANKING if name in results.measures()), None)


def choose_clips(results: Results, names: Sequence[str], count: int) -> list[ShownClip]:
    """Returns the clips to show, the best first.

    Clips are ranked by the mean over systems. Those that lack a system's number are ranked only if no clip has all.

    Args:
        results: the numbers.
        names: of all clips, in order.
        count: how many; they are spread evenly from the best to the worst.
    """
    measure = ranking_measure(results)
    if measure is None:
        return [ShownClip(name, f"number {number}") for number, name in enumerate(names[:count], 1)]
    values = {name: _values(results, measure, name) for name in names}
    for least in (len(results.systems), 1):
        ranked = [name for name in names if len(values[name]) >= least]
        if ranked:
            break
    ranked.sort(key=lambda name: -statistics.fmean(goodness(MEASURES[measure], value) for value in values[name]))
    places = _spread(len(ranked), count)
    return [ShownClip(ranked[place], _rank(place, len(ranked))) for place in places]


def _values(results: Results, measure: str, clip: str) -> list[float]:
    found = (system.clips.get(clip, {}).get(measure) for system in results.systems)
    return [value for value in found if value is not None]


def _spread(total: int, count: int) -> list[int]:
    """Returns places from 0 to `total` - 1, as far apart as possible."""
    if min(total, count) <= 1:
        return list(range(min(total, count)))
    return sorted({int(place) for place in np.linspace(0, total - 1, min(total, count))})


def _rank(place: int, total: int) -> str:
    names = {(total - 1) // 2: "median", total - 1: "worst", 0: "best"}  # of equal keys the last one counts
    return names.get(place, f"{place + 1} of {total}")
