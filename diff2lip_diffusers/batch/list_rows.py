"""Rows of a list of pairs, one at a time: a CSV, JSON lines, AUDIO VIDEO a line, or Parquet."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MediaError, PairListError
from ..media.containers import check_no_pipe
from ..stores.urls import Location
from .pair_options import PAIR_OPTIONS, check_key, shortened
from .pairs import inside_root, stem_of

KEYS = ("audio", "video", "output", *PAIR_OPTIONS)
PARQUET_SUFFIXES = (".parquet", ".pq")
PARQUET_ROWS = 4096
Row = tuple[int, Callable[[], dict[str, Any]]]
"""The number of a row, from 1, and a function that returns what it gives by key, or raises a `ValueError`."""


def rows_of(path: Path) -> Iterator[Row]:
    """Yields the rows of a list; holds a few thousand at most.

    Raises:
        MediaError: if the list is a pipe, cannot be read, is not UTF-8 or Parquet, or has no header.
        PairListError: if its header cannot be parsed.
    """
    with reading(path):
        check_no_pipe(path)
        suffix = path.suffix.lower()
        if suffix in PARQUET_SUFFIXES:
            yield from _parquet_rows(path)
            return
        with open(path, encoding="utf-8-sig") as file:
            lines = _pair_lines(file)
            parse = _parser(path, suffix, lines)
            for number, line in lines:
                yield number, partial(parse, line)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns errors of the disk or of the encoding into one line that names the list."""
    try:
        yield
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}; check its name and rights"
        raise MediaError(path, reason) from error
    except UnicodeDecodeError as error:
        raise MediaError(path, "is not UTF-8 text; name a list that is saved as UTF-8") from error


def empty_list(source: Location) -> MediaError:
    """The error of a list without pairs."""
    return MediaError(str(source), "has no pair; add at least one")


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        reason = "is Parquet, which needs pyarrow; pip install 'diff2lip-diffusers[stores]', or save it as CSV"
        raise MediaError(path, reason) from error
    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            columns = file.schema_arrow.names
            _check_columns(columns)
            number = 0
            for batch in file.iter_batches(PARQUET_ROWS, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield number, partial(dict, row)
    except (ArrowException, OSError) as error:
        raise MediaError(path, "is not a whole Parquet file; write or download it again") from error
    except ValueError as error:
        raise PairListError(path, [f"header: {error}"]) from error


def _pair_lines(file: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that are neither blank nor a comment, each with its number from 1."""
    for number, line in enumerate(file, 1):
        start = line.lstrip()[:1]
        if start and start != "#":
            yield number, line.rstrip("\n")


def _parser(path: Path, suffix: str, lines: Iterator[tuple[int, str]]) -> Callable[[str], dict]:
    """The function that parses one line of this list; takes the header off `lines` if there is one."""
    if suffix != ".csv":
        return _read_object if suffix in (".jsonl", ".ndjson") else _read_names
    number, header = next(lines, (0, None))
    if header is None:
        raise empty_list(path)
    try:
        return partial(_read_row, _columns(header))
    except ValueError as error:
        raise PairListError(path, [f"line {number}: {error}"]) from error


def _columns(header: str) -> list[str]:
    names = [name.strip() for name in _cells(header)]
    _check_columns(names)
    return names


def _check_columns(names: list[str]) -> None:
    for name in names:
        check_key(name, "column", KEYS)
        if names.count(name) > 1:
            raise ValueError(f"names the column `{name}` twice; leave one out")
    if "video" not in names:
        raise ValueError("names no column `video`; the first line must name the columns")


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ValueError(f"is not valid CSV ({error}); check its quotes") from error


def _read_row(columns: list[str], line: str) -> dict[str, str]:
    cells = _cells(line)
    if len(cells) != len(columns):
        cure = 'quote a cell with commas, as in "1,2,3,4"'
        raise ValueError(f"has {len(cells)} cells, expected {len(columns)} as in the header; {cure}")
    return dict(zip(columns, cells, strict=True))


def _read_object(line: str) -> dict[str, object]:
    try:
        given = json.loads(line, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not valid JSON ({getattr(error, 'msg', error)}): {shortened(line)}") from error
    if not isinstance(given, dict):
        raise ValueError(f'is not a JSON object, {{"video": ...}}: {shortened(line)}')
    for key in given:
        check_key(key, "key", KEYS)
    return given


def _without_repeats(items: list[tuple[str, object]]) -> dict[str, object]:
    given = dict(items)
    if len(given) != len(items):
        raise ValueError("a key occurs twice")
    return given


def _read_names(line: str) -> dict[str, str]:
    names = re.split("[ \t]+", line.strip(" \t"))
    if len(names) != 2:
        raise ValueError(f"has {len(names)} names, expected AUDIO VIDEO; names with spaces need a .csv list")
    inside = {key: inside_root(key, name) for key, name in zip(("audio", "video"), names, strict=True)}
    return {key: name if stem_of(name) != name else f"{name}.mp4" for key, name in inside.items()}
