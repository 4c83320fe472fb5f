"""Which speech goes with which face video: from a list, by hand or of a data set, or from a folder.

Every name in a list is relative to its root and stays inside it. Blank lines, and lines that start with `#`, are no
pairs.
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
from .pair_options import PAIR_OPTIONS, as_text, check_key, options_from_texts, shortened
from .pairs import (
    PICTURE_SUFFIXES,
    SOUND_SUFFIXES,
    FoundPairs,
    Pair,
    checked_output,
    default_output,
    inside_root,
    stem_of,
)

_KEYS = ("audio", "video", "output", *PAIR_OPTIONS)


def read_pairs(source: str | Path, root: str | Path | None = None) -> list[Pair]:
    """The pairs that a list or a folder names, in its order.

    A list is UTF-8 text, of the kind that its name tells:

    - `.csv`: a header with `video`, and `audio`, `output` or any of `PAIR_OPTIONS`; then a pair a line. An empty cell
      is not given; without `audio`, the video's own sound is the speech.
    - `.jsonl`, `.ndjson`: an object a line with the same keys, of texts as in a CSV, numbers, booleans or lists.
    - any other: `AUDIO VIDEO` a line, `.mp4` left out. Source: SPEC "Batches".

    Where `output` is not given, it is `AUDIO_VIDEO.mp4` or `VIDEO.mp4`, with `.` for `/`. In a folder, a video and a
    sound of the same name are a pair, and `NAME.mp4` its output.

    Args:
        source: the list or the folder.
        root: folder that the names in a list are relative to; the list's own by default.

    Raises:
        ValueError: `root` for a folder, which is its own.
        MediaError: the list cannot be read, is not UTF-8 or names no pair.
        PairListError: lines that make no sense, name something outside the root or the same output twice.
    """
    source = Path(source)
    with _reading(source):
        if not source.is_dir():
            found = _in_list(source, source.parent if root is None else Path(root))
        elif root is None:
            found = _in_folder(source)
        else:
            raise ValueError(f"`root` is {shortened(str(root))}, of no use where the pairs are a folder; leave it out")
    pairs = found.checked(source)
    if not pairs:
        raise _empty(source)
    return pairs


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what the disk says, or the bytes, into one line that names the list."""
    try:
        yield
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}; check its name and rights"
        raise MediaError(path, reason) from error
    except UnicodeDecodeError as error:
        raise MediaError(path, "is not UTF-8 text; name a list, and save it as UTF-8") from error


def _empty(source: Path) -> MediaError:
    return MediaError(source, "names no pair; it needs one at least")


def _in_folder(folder: Path) -> FoundPairs:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
    stems = defaultdict(list)
    for name in names:
        if stem_of(name) != name:
            stems[stem_of(name)].append(name)
    found = FoundPairs()
    for stem, names in stems.items():
        found.add(shortened(stem), partial(_beside, folder, stem, names))
    return found


def _beside(folder: Path, stem: str, names: list[str]) -> Pair:
    """The pair of the files of one stem."""
    output = checked_output(f"{stem}.mp4")
    files = {}
    for kind, suffixes in (("video", PICTURE_SUFFIXES), ("sound", SOUND_SUFFIXES)):
        of_kind = [name for name in names if name.lower().endswith(suffixes)]
        if not of_kind:
            raise ValueError(f"has no {kind} file beside {', '.join(names)}; add it, or move that away")
        if len(of_kind) > 1:
            raise ValueError(f"has {len(of_kind)} {kind} files, {', '.join(of_kind)}; keep one")
        files[kind] = folder / of_kind[0]
    return Pair(files["video"], files["sound"], output)


def _in_list(path: Path, root: Path) -> FoundPairs:
    found = FoundPairs()
    with open(path, encoding="utf-8-sig") as file:
        lines = _telling_lines(file)
        parse = _parser(path, lines)
        for number, line in lines:
            found.add(f"line {number}", partial(_read_pair, parse, line, root, number))
    return found


def _telling_lines(file: Iterable[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file, 1):
        start = line.lstrip()[:1]
        if start and start != "#":
            yield number, line.rstrip("\n")


def _parser(path: Path, lines: Iterator[tuple[int, str]]) -> Callable[[str], dict]:
    """What reads the lines of this kind of list, all that are left of `lines`."""
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
        raise ValueError(f"is no CSV ({error}); check its quotes") from error


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
        raise ValueError(f"is no JSON ({getattr(error, 'msg', error)}): {shortened(line)}") from error
    if not isinstance(given, dict):
        raise ValueError(f'is no JSON object, {{"video": ...}}: {shortened(line)}')
    for key in given:
        check_key(key, "key", _KEYS)
    return given


def _without_repeats(items: list[tuple[str, object]]) -> dict[str, object]:
    given = dict(items)
    if len(given) != len(items):
        raise ValueError("a key is there twice")
    return given


def _read_names(line: str) -> dict[str, str]:
    names = re.split("[ \t]+", line.strip(" \t"))
    if len(names) != 2:
        raise ValueError(f"has {len(names)} names, expected AUDIO VIDEO; names with blanks need a .csv list")
    inside = {key: inside_root(key, name) for key, name in zip(("audio", "video"), names, strict=True)}
    return {key: name if stem_of(name) != name else f"{name}.mp4" for key, name in inside.items()}


def _read_pair(parse: Callable[[str], dict], line: str, root: Path, number: int) -> Pair:
    given = {key: value for key, value in parse(line).items() if value not in (None, "")}
    if "video" not in given:
        raise ValueError("has no `video`; name the video with the face")
    video = inside_root("video", given.pop("video"))
    audio = inside_root("audio", given.pop("audio")) if "audio" in given else None
    output = checked_output(given.pop("output", default_output(audio, video)))
    options = options_from_texts(tuple((name, as_text(name, value)) for name, value in given.items())) if given else {}
    return Pair(root / video, None if audio is None else root / audio, output, dict(options), number)
