"""The numbers of every clip as a table for other programs."""

import csv
from pathlib import Path

from ..results import Results


def write_clips_csv(results: Results, path: Path) -> None:
    """Writes a row for each clip and system, a column a measure; empty where there is no number."""
    measures = results.measures()
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["clip", "system", *measures])
        for clip in sorted({clip for system in results.systems for clip in system.clips}):
            for system in results.systems:
                if clip in system.clips:
                    values = system.clips[clip]
                    rows.writerow([clip, system.name, *(values.get(name, "") for name in measures)])
