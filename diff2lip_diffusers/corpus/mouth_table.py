"""CSV file with the true mouth parameters of every frame of a corpus clip."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import MediaError
from ..output_paths import hidden_folder_beside, writing
from .visemes import PARAMETERS as MOUTH_PARAMETERS

COLUMNS = ("frame", "time_s", *MOUTH_PARAMETERS)
COVERED = "covered"


def write_mouth_table(path: str | Path, fps: float, mouth: np.ndarray, covered: Sequence[bool] | None = None) -> None:
    """Writes the mouth parameters (N, 6), each 0 to 1, of the frames 0 to N-1; atomically.

    Args:
        path: of the table.
        fps: frames per second.
        mouth: the parameters.
        covered: for each frame, whether something before the face hides the mouth; None writes no such column.

    Raises:
        MediaError: if the file cannot be written.
    """
    path = Path(path)
    with writing(path), hidden_folder_beside(path) as folder:
        file = Path(folder) / path.name
        with file.open("w", newline="", encoding="utf-8") as lines:
            table = csv.writer(lines)
            table.writerow(COLUMNS if covered is None else (*COLUMNS, COVERED))
            for frame, values in enumerate(mouth):
                marks = [] if covered is None else [int(covered[frame])]
                table.writerow([frame, f"{frame / fps:.4f}", *(f"{value:.4f}" for value in values), *marks])
        file.replace(path)


def read_mouth_table(path: str | Path) -> np.ndarray:
    """The mouth parameters of a clip, (N, 6) float32, in the order of `MOUTH_PARAMETERS`.

    Raises:
        MediaError: if the file is missing or is not a mouth table.
    """
    rows = _rows(path)
    try:
        return np.array([[float(row[name]) for name in MOUTH_PARAMETERS] for row in rows], np.float32).reshape(-1, 6)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def read_covered(path: str | Path) -> np.ndarray:
    """Whether something before the face hides the mouth in each frame of a clip, (N,) bool.

    Raises:
        MediaError: if the file is missing or is not a mouth table.
    """
    return np.array([row.get(COVERED) == "1" for row in _rows(path)], bool)


def _rows(path: str | Path) -> list[dict[str, str]]:
    try:
        with Path(path).open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str | Path, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or "it is not a mouth table"
    return MediaError(path, f"cannot be read: {reason}; make the corpus again")
