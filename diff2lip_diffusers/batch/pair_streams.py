"""Lists of millions of pairs, read as a stream: checked once from end to end, then a window at a time.

Memory does not grow with the list but for eight bytes a pair, by which equal outputs are found.
"""

import unicodedata
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import PairListError
from ..stores.remote_files import RemoteFiles
from ..stores.urls import Location, Url
from .list_rows import empty_list, rows_of
from .pair_lists import local_list, pair_of_row
from .pairs import Pair

# A batch of more pairs is worked on a window at a time. A window is a run of its own.
WINDOW_PAIRS = 20_000
# An error names the first three.
MAX_PROBLEMS = 1000


class PairStream:
    """The pairs of a list; each iteration reads it from the start.

    Args:
        source: the list, as [`read_pairs`] takes it, but no folder.
        root: folder or URL that its names are relative to; by default where the list is.
        files: reads a list that has a URL.
    """

    def __init__(
        self, source: str | Path | Url, root: str | Path | Url | None = None, files: RemoteFiles | None = None
    ):
        self._source, self._root, self._files = source, root, files or RemoteFiles()

    def __iter__(self) -> Iterator[Pair]:
        """Yields the pairs, in the order of the list.

        Raises:
            MediaError: if the list cannot be read.
            PairListError: at a line that makes no sense.
        """
        with local_list(self._source, self._root, self._files) as (path, root):
            for number, parse in rows_of(_list_file(path, root)):
                try:
                    yield pair_of_row(parse, root, number)
                except ValueError as error:
                    raise PairListError(str(path), [f"line {number}: {error}"]) from error

    def windows(self, size: int = WINDOW_PAIRS) -> Iterator[list[Pair]]:
        """Yields the pairs in lists of that size; the last one may be shorter."""
        pairs = iter(self)
        while window := list(islice(pairs, size)):
            yield window

    def check(self) -> int:
        """Checks the whole list, and returns the number of its pairs.

        Raises:
            MediaError: if the list cannot be read or has no pair.
            PairListError: if lines make no sense, name a file outside the root or give the same output twice.
        """
        keys, problems = array("q"), list[str]()
        with local_list(self._source, self._root, self._files) as (path, root):
            file = _list_file(path, root)
            for number, parse in rows_of(file):
                try:
                    keys.append(hash(_key_of(pair_of_row(parse, root, number))))
                except ValueError as error:
                    problems.append(f"line {number}: {error}")
                    if len(problems) >= MAX_PROBLEMS:
                        break
            problems += self._repeated(_repeated(keys))
            if problems:
                raise PairListError(str(file), problems)
            if not keys:
                raise empty_list(file)
        return len(keys)

    def _repeated(self, keys: set[int]) -> list[str]:
        """What is wrong with the pairs whose keys occur more than once."""
        places: dict[str, int] = {}
        problems = []
        for pair in self if keys else ():
            key = _key_of(pair)
            if hash(key) not in keys:
                continue
            if key in places:
                same = f"gives the same output {pair.output} as line {places[key]}"
                problems.append(f"line {pair.line}: {same}; drop one, or name its `output`")
            places.setdefault(key, pair.line or 0)
        return problems[:MAX_PROBLEMS]


def has_more_rows(source: str | Path | Url, files: RemoteFiles, count: int = WINDOW_PAIRS) -> bool:
    """Whether a list has more rows than that; a folder has none.

    Raises:
        MediaError: if the list cannot be read.
        PairListError: if its header makes no sense.
    """
    with local_list(source, None, files) as (path, _):
        if path is None or not path.is_file():
            return False
        return next(islice(rows_of(path), count, None), None) is not None


def _list_file(path: Path | None, root: Location) -> Path:
    if path is None:
        raise ValueError(f"{root} is a folder; name a list")
    return path


def _key_of(pair: Pair) -> str:
    return unicodedata.normalize("NFC", pair.output).casefold()


def _repeated(keys: array) -> set[int]:
    """The numbers that occur more than once."""
    numbers = np.sort(np.frombuffer(keys, np.int64)) if keys else np.empty(0, np.int64)
    return set(numbers[1:][numbers[1:] == numbers[:-1]].tolist())
