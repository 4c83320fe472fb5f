"""Reads pairs of a speech recording and a face video from a list or a folder.

Names in a list are URLs, or relative to its root and stay inside it. Blank lines and lines that start with `#` are
skipped.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..stores.object_store import ObjectStore
from ..stores.remote_files import RemoteFiles, naming_urls
from ..stores.urls import Location, Url, is_url, located
from .list_rows import empty_list, reading, rows_of
from .pair_options import FILE_OPTIONS, as_text, names_file, options_from_texts, shortened
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


def read_pairs(
    source: str | Path | Url, root: str | Path | Url | None = None, files: RemoteFiles | None = None
) -> list[Pair]:
    """Reads the pairs of a list or a folder, in its order.

    A list is UTF-8 text. Its suffix tells the format:

    - `.csv`: a header with `video`, and optionally `audio`, `output` and names in `PAIR_OPTIONS`; then a pair a line.
      An empty cell means the default. Without `audio`, the video's own audio is the speech.
    - `.jsonl`, `.ndjson`: one object a line with the same keys. Values are texts as in a CSV, numbers, booleans or
      lists.
    - `.parquet`, `.pq`: the same columns as a CSV.
    - any other: `AUDIO VIDEO` a line, without `.mp4`. Source: the lists of the original program.

    The default `output` is `AUDIO_VIDEO.mp4`, or `VIDEO.mp4` without `audio`, with `.` for `/`. In a folder, a video
    and an audio file of the same name are a pair, and `NAME.mp4` is its output.

    Args:
        source: the list or the folder, or its URL; that of a folder ends in `/`.
        root: folder or URL that the names in a list are relative to; by default where the list is.
        files: reads a list that has a URL; by default through the user's cache, and nothing from the web.

    Raises:
        ValueError: if `root` is given for a folder.
        MediaError: if the list cannot be read, is not UTF-8 or has no pair.
        PairListError: if lines cannot be parsed, name a file outside the root or give the same output twice.
    """
    with local_list(source, root, files or RemoteFiles()) as (path, list_root):
        place: Location = path or list_root
        if path is None:
            collector = _collect_from_prefix(list_root)
        elif path.is_dir():
            if root is not None:
                reason = "but a folder of pairs is its own root; leave it out"
                raise ValueError(f"`root` is {shortened(str(root))}, {reason}")
            with reading(path):
                collector = _collect_from_folder(path)
        else:
            collector = _collect_from_list(path, list_root)
        pairs = collector.checked(str(place))
        if not pairs:
            raise empty_list(place)
        return pairs


@contextmanager
def local_list(
    source: str | Path | Url, root: str | Path | Url | None, files: RemoteFiles
) -> Iterator[tuple[Path | None, Location]]:
    """Inside the block, a list is a local file; gives it and its root. Errors name its URL.

    There is no file if the source is the URL of a folder, which is its own root.

    Raises:
        MediaError: it cannot be read.
    """
    place = located(source)
    list_root = None if root is None else located(root)
    if not isinstance(place, Url):
        yield place, list_root or (place if place.is_dir() else place.parent)
    elif place.full.endswith("/") and not place.is_web:
        yield None, place
    else:
        with files.hold([place]) as held, naming_urls(held.paths):
            yield held.paths[place], list_root or place.parent


def _collect_from_prefix(folder: Location) -> PairCollector:
    if not isinstance(folder, Url):
        raise TypeError("`folder` must be a URL")
    names = sorted(name for name in ObjectStore(folder).list() if name[0] != ".")
    return _collect_names(folder, names)


def _collect_from_folder(folder: Path) -> PairCollector:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name[0] != "." and entry.is_file())
    return _collect_names(folder, names)


def _collect_names(folder: Location, names: list[str]) -> PairCollector:
    stems = defaultdict(list)
    for name in names:
        if stem_of(name) != name:
            stems[stem_of(name)].append(name)
    collector = PairCollector()
    for stem, names in stems.items():
        collector.add(shortened(stem), partial(_pair_of_stem, folder, stem, names))
    return collector


def _pair_of_stem(folder: Location, stem: str, names: list[str]) -> Pair:
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


def _collect_from_list(path: Path, root: Location) -> PairCollector:
    collector = PairCollector()
    for number, parse in rows_of(path):
        collector.add(f"line {number}", partial(pair_of_row, parse, root, number))
    return collector


def place_of(root: Location, name: str) -> Location:
    """The place of a file that a list names: itself if it is a URL, otherwise below the root."""
    return Url(name) if is_url(name) else root / name


def pair_of_row(parse: Callable[[], dict], root: Location, number: int) -> Pair:
    """The pair that a row of a list gives.

    Args:
        parse: returns what the row gives by key.
        root: the place that names are relative to.
        number: of the row, from 1.

    Raises:
        ValueError: if it makes no sense, or names a file outside the root.
    """
    given = {key: value for key, value in parse().items() if value is not None and value != ""}
    if "video" not in given:
        raise ValueError("has no `video`; name the video with the face")
    video = inside_root("video", given.pop("video"))
    audio = inside_root("audio", given.pop("audio")) if "audio" in given else None
    output = checked_output(given.pop("output", default_output(audio, video)))
    for name in FILE_OPTIONS:
        if name in given and names_file(name, given[name]):
            place = place_of(root, inside_root(name, given[name]))
            given[name] = place.full if isinstance(place, Url) else str(place)
    options = options_from_texts(tuple((name, as_text(name, value)) for name, value in given.items())) if given else {}
    audio_place = None if audio is None else place_of(root, audio)
    return Pair(place_of(root, video), audio_place, output, dict(options), number)
