"""The table of measures: what each one is called, which direction is better, its range, and what it needs."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Better = Literal["higher", "lower", "near 1", "near 0"]


@dataclass(frozen=True)
class Measure:
    """What a number in a report means.

    Attributes:
        name: key in reports and of `--fail-below`.
        title: as papers print it.
        group: the group that computes it, a key of `GROUPS`.
        better: which direction is better.
        range: smallest and largest value.
        unit: of the value; empty for ratios and scores.
        meaning: one sentence.
        source: paper or definition.
    """

    name: str
    title: str
    group: str
    better: Better
    range: tuple[float, float]
    unit: str
    meaning: str
    source: str


# Groups of measures, and what each of them needs beside the videos.
GROUPS: dict[str, str] = {
    "lse": "the SyncNet of 2016 (--syncnet syncnet_v2.model)",
    "own_sync": "a SyncNet of ours (--own-syncnet FOLDER)",
    "picture": "a reference video",
    "lpips": "a reference video and LPIPS weights (--lpips FILE)",
    "fid": "reference videos and Inception weights (--inception FILE)",
    "fvd": "reference videos and I3D weights (--i3d FILE)",
    "sharpness": "a reference video",
    "steadiness": "a reference video",
    "mouth": "a landmark detector (--landmarks ...) or drawn people (--truth CORPUS)",
    "cost": "the results.jsonl of a batch",
}
# Computed over all clips of a system at once, so without intervals.
OVER_ALL_CLIPS = ("fid", "fid_painted", "kid", "kid_painted", "fvd")


def _read_table() -> dict[str, Measure]:
    """The measures by name, from the table beside this file."""
    with (Path(__file__).parent / "table.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    measures = [
        Measure(range=(float(row.pop("low")), float(row.pop("high"))), **row)  # pyright: ignore[reportArgumentType]
        for row in rows
    ]
    return {measure.name: measure for measure in measures}


MEASURES = _read_table()


def table_as_markdown() -> str:
    """Returns the table of measures for the documentation."""
    rows = ["| name | in reports | better | range | meaning | source |", "|---|---|---|---|---|---|"]
    for measure in MEASURES.values():
        low, high = (f"{end:g}".replace("inf", "∞").replace("-", "−") for end in measure.range)
        ends = f"{low} to {high} {measure.unit}".strip()
        cells = (f"`{measure.name}`", measure.title, measure.better, ends, measure.meaning, measure.source)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
