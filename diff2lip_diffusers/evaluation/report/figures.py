"""Figures of a report, as SVG files with the same bytes in every run."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..measures.table import MEASURES
from ..results import Results, SystemResults
from .goodness import ARROWS
from .text import shown

OFFSET_CURVE = "own_sync_distances"
WIDTH_IN, ROW_IN, MARGIN_IN = 4.6, 0.36, 0.75
NAME_LENGTH = 20
COLORS = ("#1d5fa8", "#c8553d", "#3f8f5f", "#8a63b8", "#b98a1e", "#4a9fb5", "#b0508c", "#6b6f76")
STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "svg.hashsalt": "diff2lip",
    "svg.fonttype": "path",
    "text.parse_math": False,  # names may hold dollar signs
    "text.usetex": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#646a75",
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Picture:
    """A figure in the report's folder.

    Attributes:
        path: of the file, below the folder.
        caption: what it shows.
    """

    path: str
    caption: str


def has_matplotlib() -> bool:
    """Tells whether figures can be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def draw_figures(results: Results, folder: Path) -> list[Picture]:
    """Draws a box plot a measure, and the offset curves, into `folder`/figures.

    A box goes from the first to the third quartile over clips, with the median in it; whiskers reach to the last clip
    within 1.5 times its length; points are clips.
    """
    import matplotlib.style

    (folder / "figures").mkdir(exist_ok=True)
    pictures = []
    with matplotlib.style.context("default"), matplotlib.rc_context(STYLE), warnings.catch_warnings():  # pyright: ignore
        warnings.simplefilter("ignore")  # letters that the font lacks
        if any(_mean_curve(system) is not None for system in results.systems):
            pictures.append(_offset_curves(results.systems, folder))
        pictures += [
            _box_plot(results.systems, name, folder) for name in results.measures() if _has_clips(results, name)
        ]
    return pictures


def _has_clips(results: Results, measure: str) -> bool:
    return any(measure in system.summaries for system in results.systems)


def _box_plot(systems: Sequence[SystemResults], name: str, folder: Path) -> Picture:
    measure = MEASURES[name]
    figure, axes = _axes(MARGIN_IN + ROW_IN * max(2, len(systems)))
    for row, system in enumerate(systems):
        values = np.array([clip[name] for clip in system.clips.values() if name in clip])
        if not len(values):
            continue
        color = COLORS[row % len(COLORS)]
        axes.boxplot(
            [values],
            positions=[row],
            orientation="horizontal",
            widths=0.55,
            showfliers=False,
            medianprops={"color": color, "linewidth": 2},
            boxprops={"color": color},
            whiskerprops={"color": color},
            capprops={"color": color},
        )
        axes.plot(values, row + _scatter(len(values)), "o", ms=2.2, color=color, alpha=0.45, mew=0)
    axes.set_yticks(range(len(systems)), [_label(system.name) for system in systems])
    axes.set_ylim(len(systems) - 0.4, -0.6)
    axes.set_xlabel(f"{measure.title}{f' ({measure.unit})' if measure.unit else ''} {ARROWS[measure.better]}")
    axes.grid(axis="x", color="#dcdfe4", linewidth=0.6)
    axes.set_axisbelow(True)
    return _saved(figure, folder, name, f"{measure.title}: {measure.meaning}")


def _scatter(count: int) -> np.ndarray:
    """Heights (N,) that keep points apart, without chance."""
    return 0.18 * np.sin(math.pi * (3 - math.sqrt(5)) * np.arange(count))


def _offset_curves(systems: Sequence[SystemResults], folder: Path) -> Picture:
    figure, axes = _axes(2.7)
    for row, system in enumerate(systems):
        curve = _mean_curve(system)
        if curve is not None:
            half = len(curve) // 2
            color = COLORS[row % len(COLORS)]
            axes.plot(range(-half, half + 1), curve, color=color, linewidth=1.6, label=_label(system.name))
    axes.axvline(0, color="#646a75", linewidth=0.8, linestyle=":")
    axes.set_xlabel("offset (frames of 40 ms)")
    axes.set_ylabel("mean distance")
    axes.legend(frameon=False, fontsize=8, loc="best")
    caption = (
        "Offset curves: distance of mouth and speech over the shift of the speech, mean over clips;"
        " best is a deep valley at 0"
    )
    return _saved(figure, folder, "offset_curves", caption)


def _mean_curve(system: SystemResults) -> np.ndarray | None:
    """The mean over the clips that have the most offsets; short clips have fewer."""
    curves = [curve for found in system.curves.values() if len(curve := found.get(OFFSET_CURVE, [])) > 1]
    longest = max((len(curve) for curve in curves), default=0)
    return np.mean([curve for curve in curves if len(curve) == longest], axis=0) if curves else None


def _label(name: str) -> str:
    text = shown(name)
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"


def _axes(height_in: float):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    return figure, figure.add_subplot()


def _saved(figure, folder: Path, name: str, caption: str) -> Picture:
    path = f"figures/{name}.svg"
    figure.savefig(folder / path, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(path, caption)
