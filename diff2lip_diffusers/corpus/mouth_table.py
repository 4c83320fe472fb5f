"""CSV file with the true mouth parameters of every frame of a corpus clip."""

import csv
from pathlib import Path

import numpy as np

from ..errors import MediaError
from ..output_paths import hidden_folder_beside, writing
from .visemes import PARAMETERS as MOUTH_PARAMETERS

COLUMNS = ("frame", "time_s", *MOUTH_PARAMETERS)


def write_mouth_table(path: str | Path, fps: float, mouth: np.ndarray) -> None:
    """Writes the mouth parameters (N, 6), each 0 to 1, of the frames 0 to N-1; atomically.

    Raises:
        MediaError: if the file cannot be written.
    """
    path = Path(path)
    with writing(path), hidden_folder_beside(path) as folder:
        file = Path(folder) / path.name
        with file.open("w", newline="", encoding="utf-8") as lines:
            table = csv.writer(lines)
            table.writerow(COLUMNS)
            for frame, values in enumerate(mouth):
                table.writerow([frame, f"{frame / fps:.4f}", *(f"{value:.4f}" for value in values)])
        file.replace(path)


def read_mouth_table(path: str | Path) -> np.ndarray:
    """The mouth parameters of a clip, (N, 6) float32, in the order of `MOUTH_PARAMETERS`.

    Raises:
        MediaError: if the file is missing or is not a mouth table.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return np.array([[float(row[name]) for name in MOUTH_PARAMETERS] for row in rows], np.float32).reshape(-1, 6)
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a mouth table"
        raise MediaError(path, f"cannot be read: {reason}; make the corpus again") from error
