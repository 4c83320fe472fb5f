"""Numbers that papers print, for the measures of a report."""

import csv
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).parent / "published.csv"
# Names in the table of papers' measures that this program computes too.
OURS = {
    "LSE-C": "lse_c",
    "LSE-D": "lse_d",
    "FID": "fid",
    "FVD": "fvd",
    "LMD": "lmd",
    "SSIM": "ssim",
    "PSNR": "psnr",
    "LPIPS": "lpips",
    "LipLeak": "lip_leak",
}


@dataclass(frozen=True)
class Published:
    """A number from a paper.

    Attributes:
        measure: our name of it.
        system: what was measured.
        value: as printed.
        source: paper, with its table.
        data: what it was measured on.
        note: what else is known.
    """

    measure: str
    system: str
    value: str
    source: str
    data: str
    note: str


def read_published() -> list[Published]:
    """Returns the numbers for measures that this program computes, in the order of the table."""
    with TABLE.open(newline="", encoding="utf-8") as lines:
        return [
            Published(OURS[row["measure"]], row["system"], row["value"], _source(row), row["data"], row["note"])
            for row in csv.DictReader(lines)
            if row["measure"] in OURS
        ]


def _source(row: dict[str, str]) -> str:
    return f"{row['source']}, table {row['table']}" if row["table"].isdigit() else row["source"]
