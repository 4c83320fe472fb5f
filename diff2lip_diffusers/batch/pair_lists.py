"""Reads pairs of a speech recording and a face video from a list or a folder.

Names in a list are relative to its root and stay inside it. Blank lines and lines that start with `#` are skipped.
"""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..errors import MediaError, PairListError
from ..stores.urls import Location, Url, is_url
from .pair_options import FILE_OPTIONS, PAIR_OPTIONS, as_text, check_key, options_from_texts, shortened
from .pairs import (
    AUDIO_SUFFIXES,
    VIDEO_SUFFIXES,
    Pair,
    PairCollector,
    checked_output,
    default_output,
    inside_root,
    stem_of,
)

_KEYS = ("audio", "video", "output", *PAIR_OPTIONS)


def read_pairs(source: str | Path, root: str | Path | None = None) -> list[Pair]:
    """Reads the pairs of a list or a folder, in its order.

    A list is UTF-8 text. Its suffix tells the format:

    - `.csv`: a header with `video`, and optionally `audio`, `output` and names in `PAIR_OPTIONS`; then a pair a line.
      An empty cell means the default. Without `audio`, the video's own audio is the speech.
    - `.jsonl`, `.ndjson`: one object a line with the same keys. Values are texts as in a CSV, numbers, booleans or
      lists.
    - any other: `AUDIO VIDEO` a line, without `.mp4`. Source: SPEC "Batches".

    The default `output` is `AUDIO_VIDEO.mp4`, or `VIDEO.mp4` without `audio`, with `.` for `/`. In a folder, a video
    and an audio file of the same name are a pair, and `NAME.mp4` is its output.

    Args:
        source: the list or the folder.
        root: folder that the names in a list are relative to; by default the folder of the list.

    Raises:
        ValueError: if `root` is given for a folder.
        MediaError: if the list cannot be read, is not UTF-8 or has no pair.
        PairListError: if lines cannot be parsed, name a file outside the root or give the same output twice.
    """
    source = Path(source)
    with _reading(source):
        if not source.is_dir():
            collector = _collect_from_list(source, source.parent if root is None else Path(root))
        elif root is None:
            collector = _collect_from_folder(source)
        else:
            raise ValueError(f"`root` is {shortened(str(root))}, but a folder of pairs is its own root; leave it out")
    pairs = collector.checked(source)
    if not pairs:
        raise _empty(source)
    return pairs


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns errors of the disk or of the encoding into one line that names the list."""
    try:
        yield
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}; check its name and rights"
        raise MediaError(path, reason) from error
    except UnicodeDecodeError as error:
        raise MediaError(path, "is not UTF-8 text; name a list that is saved as UTF-8") from error


def _empty(source: Path) -> MediaError:
    return MediaError(source, "has no pair; add at least one")


def _collect_from_folder(folder: Path) -> PairCollector:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
    stems = defaultdict(list)
    for name in names:
        if stem_of(name) != name:
            stems[stem_of(name)].append(name)
    collector = PairCollector()
    for stem, names in stems.items():
        collector.add(shortened(stem), partial(_pair_of_stem, folder, stem, names))
    return collector


def _pair_of_stem(folder: Path, stem: str, names: list[str]) -> Pair:
    """The pair of the files with the same name but for the suffix."""
    output = checked_output(f"{stem}.mp4")
    files = {}
    for kind, suffixes in (("video", VIDEO_SUFFIXES), ("audio", AUDIO_SUFFIXES)):
        of_kind = [name for name in names if name.lower().endswith(suffixes)]
        if not of_kind:
            raise ValueError(f"has no {kind} file beside {', '.join(names)}; add one, or move the rest away")
        if len(of_kind) > 1:
            raise ValueError(f"has {len(of_kind)} {kind} files, {', '.join(of_kind)}; keep one")
        files[kind] = folder / of_kind[0]
    return Pair(files["video"], files["audio"], output)


def _collect_from_list(path: Path, root: Path) -> PairCollector:
    collector = PairCollector()
    with open(path, encoding="utf-8-sig") as file:
        lines = _pair_lines(file)
        parse = _parser(path, lines)
        for number, line in lines:
            collector.add(f"line {number}", partial(_read_pair, parse, line, root, number))
    return collector


def _pair_lines(file: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The lines that are neither blank nor a comment, each with its number from 1."""
    for number, line in enumerate(file, 1):
        start = line.lstrip()[:1]
        if start and start != "#":
            yield number, line.rstrip("\n")


def _parser(path: Path, lines: Iterator[tuple[int, str]]) -> Callable[[str], dict]:
    """The function that parses one line of this list; takes the header off `lines` if there is one."""
    suffix = path.suffix.lower()
    if suffix != ".csv":
        return _read_object if suffix in (".jsonl", ".ndjson") else _read_names
    number, header = next(lines, (0, None))
    if header is None:
        raise _empty(path)
    try:
        return partial(_read_row, _columns(header))
    except ValueError as error:
        raise PairListError(path, [f"line {number}: {error}"]) from error


def _columns(header: str) -> list[str]:
    names = [name.strip() for name in _cells(header)]
    for name in names:
        check_key(name, "column", _KEYS)
        if names.count(name) > 1:
            raise ValueError(f"names the column `{name}` twice; leave one out")
    if "video" not in names:
        raise ValueError("names no column `video`; the first line must name the columns")
    return names


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
        check_key(key, "key", _KEYS)
    return given


def _without_repeats(items: list[tuple[str, object]]) -> dict[str, object]:
    given = dict(items)
    if len(given) != len(items):
        raise ValueError("a key occurs twice")
    return given


def place_of(root: Location, name: str) -> Location:
    """The place of a file that a list names: itself if it is a URL, otherwise below the root."""
    return Url(name) if is_url(name) else root / name


def _read_names(line: str) -> dict[str, str]:
    names = re.split("[ \t]+", line.strip(" \t"))
    if len(names) != 2:
        raise ValueError(f"has {len(names)} names, expected AUDIO VIDEO; names with spaces need a .csv list")
    inside = {key: inside_root(key, name) for key, name in zip(("audio", "video"), names, strict=True)}
    return {key: name if stem_of(name) != name else f"{name}.mp4" for key, name in inside.items()}


def _read_pair(parse: Callable[[str], dict], line: str, root: Location, number: int) -> Pair:
    given = {key: value for key, value in parse(line).items() if value not in (None, "")}
    if "video" not in given:
        raise ValueError("has no `video`; name the video with the face")
    video = inside_root("video", given.pop("video"))
    audio = inside_root("audio", given.pop("audio")) if "audio" in given else None
    output = checked_output(given.pop("output", default_output(audio, video)))
    for name in FILE_OPTIONS:
        if name in given:
            place = place_of(root, inside_root(name, given[name]))
            given[name] = place.full if isinstance(place, Url) else str(place)
    options = options_from_texts(tuple((name, as_text(name, value)) for name, value in given.items())) if given else {}
    audio_place = None if audio is None else place_of(root, audio)
    return Pair(place_of(root, video), audio_place, output, dict(options), number)
