"""Checks the files of many pairs before the work starts."""

import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..stores.remote_files import RemoteFiles
from ..stores.urls import Location, Url, located
from .pair_options import FILE_OPTIONS, names_file
from .pairs import Pair

# A file server answers slowly, but many requests at a time.
THREADS = 16
_IS_FOLDER = "is a folder, not a file"
FileCheck = tuple[int, str]  # size in bytes, and why the file cannot be read, or ""


def inspect_files(pairs: Iterable[Pair], files: RemoteFiles | None = None) -> dict[Location, FileCheck]:
    """The size in bytes of each file that the pairs name, and in one line why it cannot be read, or "".

    A folder of images is not a file: its size is 0.

    Args:
        pairs: the pairs.
        files: asks for those that have URLs; by default for none on the web.
    """
    places = {place: None for pair in pairs for place in (pair.video, *_other_files(pair))}
    paths = [place for place in places if isinstance(place, Path)]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="inspect") as threads:
        checks = dict(zip(paths, threads.map(_inspect, paths), strict=True))
    return {**checks, **(files or RemoteFiles()).sizes(place for place in places if isinstance(place, Url))}


def missing_files(pairs: Iterable[Pair], checks: Mapping[Location, FileCheck]) -> dict[str, str]:
    """The pairs with files that cannot be read, by output: in one line, which files and why.

    A video may be a folder of images if the pair has a file with audio; a mask may always be one.

    Args:
        pairs: pairs whose files were inspected.
        checks: what `inspect_files` returned.
    """
    reasons = {pair.output: _missing(pair, checks) for pair in pairs}
    return {output: reason for output, reason in reasons.items() if reason}


def describe_first_missing(pairs: Iterable[Pair], missing: Mapping[str, str]) -> str:
    """The line in the list of the first pair with missing files, and why they cannot be read."""
    first = next(pair for pair in pairs if pair.output in missing)
    return f"{'' if first.line is None else f'line {first.line}: '}{missing[first.output]}"


def _missing(pair: Pair, checks: Mapping[Location, FileCheck]) -> str:
    video, mask, others = checks[pair.video][1], _mask_of(pair), _other_files(pair)
    if video.endswith(_IS_FOLDER) and any(path != mask for path in others):
        video = ""
    of_others = (checks[path][1] for path in others if path != mask or not checks[path][1].endswith(_IS_FOLDER))
    return "; ".join(reason for reason in (video, *of_others) if reason)


def _other_files(pair: Pair) -> list[Location]:
    """The files of a pair beside its video."""
    named = ((name, pair.options.get(name)) for name in FILE_OPTIONS)
    given = [value for name, value in named if isinstance(value, (str, os.PathLike, Url)) and names_file(name, value)]
    options = [located(value) for value in given]
    return options if pair.audio is None else [pair.audio, *options]


def _mask_of(pair: Pair) -> Location | None:
    mask = pair.options.get("mask")
    return located(mask) if isinstance(mask, (str, os.PathLike, Url)) else None


def _inspect(path: Path) -> FileCheck:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return 0, f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISDIR(status.st_mode):
        return 0, f"{path}: {_IS_FOLDER}"
    if not stat.S_ISREG(status.st_mode):
        return 0, f"{path}: is not a file"
    return status.st_size, "" if os.access(path, os.R_OK) else f"{path}: cannot be read: check its rights"
