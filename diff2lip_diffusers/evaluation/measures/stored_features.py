"""Features of single clips on disk, to be compared over all clips without holding them in memory."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ...output_paths import writing
from ..aligned_frames import NotMeasurable

OUTPUT, REFERENCE = "output", "reference"
# Vectors that are read at a time.
BATCH_ROWS = 512


def features_place(folder: Path, system: str) -> Path:
    """Returns the path without suffix for the features of a system, whatever its name holds, in a clip's folder."""
    return folder / f"system-{quote(system, safe='')}"


def features_file(place: Path, measure: str, side: str) -> Path:
    """Returns the file of one measure's features.

    Args:
        place: from `features_place`.
        measure: name of the measure that compares them.
        side: `OUTPUT` or `REFERENCE`.
    """
    return place.with_name(f"{place.name}.{measure}.{side}.npy")


def write_features(place: Path, measure: str, outputs: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> None:
    """Writes the features of one clip, N vectors (D,) of each side.

    Raises:
        NotMeasurable: if some are not finite.
        MediaError: if a file cannot be written.
    """
    for side, vectors in ((OUTPUT, outputs), (REFERENCE, references)):
        table = np.stack(vectors).astype(np.float32)
        if not np.isfinite(table).all():
            raise NotMeasurable(f"the features for {measure} are not finite; check the file of weights")
        path = features_file(place, measure, side)
        part = path.with_suffix(".part")
        with writing(path):
            with part.open("wb") as file:
                np.save(file, table)
            part.replace(path)


class StoredFeatures:
    """The features of many clips as one table; files are read when they are needed.

    Args:
        paths: files of `write_features`; those that are missing are left out.

    Attributes:
        size: numbers of one vector, D; 0 if there is none.
    """

    def __init__(self, paths: Sequence[Path]):
        self._paths = [path for path in paths if path.is_file()]
        shapes = [np.load(path, mmap_mode="r").shape for path in self._paths]
        self._ends = list(accumulate(shape[0] for shape in shapes))
        self.size = shapes[0][1] if shapes else 0

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def batches(self) -> Iterator[np.ndarray]:
        """Yields all vectors in order, (N, D) float32."""
        for first in range(0, len(self), BATCH_ROWS):
            yield self.rows(np.arange(first, min(first + BATCH_ROWS, len(self))))

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the vectors (K, D) float32 with the given numbers (K,)."""
        found = np.empty((len(numbers), self.size), np.float32)
        order = np.argsort(numbers, kind="stable")
        for file, places in self._by_file(numbers, order):
            start = self._ends[file - 1] if file else 0
            found[places] = np.load(self._paths[file], mmap_mode="r")[numbers[places] - start]
        return found

    def _by_file(self, numbers: np.ndarray, order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields each file that is needed, with the places of its vectors."""
        first = 0
        while first < len(order):
            file = bisect_right(self._ends, numbers[order[first]])
            end = int(np.searchsorted(numbers[order], self._ends[file]))
            yield file, order[first:end]
            first = end


class ReferenceFeatures:
    """Features of the reference at hand, which all systems are compared with: computed for the first one only."""

    def __init__(self):
        self._reference: Path | None = None
        self._known: dict[Hashable, np.ndarray] = {}

    def get(self, reference: Path | None, key: Hashable, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """Returns a vector (D,), computed if it is not known.

        Args:
            reference: the video; those of the one before are forgotten.
            key: says which vector.
            compute: makes it.
        """
        if reference != self._reference:
            self._reference, self._known = reference, {}
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
