"""Checks the files of many pairs before the work starts."""

import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .pairs import Pair

# A file server answers slowly, but many requests at a time.
THREADS = 16
_IS_FOLDER = "is a folder, not a file"
FileCheck = tuple[int, str]  # size in bytes, and why the file cannot be read, or ""


def inspect_files(pairs: Iterable[Pair]) -> dict[Path, FileCheck]:
    """The size in bytes of each file that the pairs name, and in one line why it cannot be read, or "".

    A folder of images is not a file: its size is 0.
    """
    paths = list(
        {path: None for pair in pairs for path in (pair.video, pair.audio, _mask_of(pair)) if path is not None}
    )
    with ThreadPoolExecutor(THREADS, thread_name_prefix="inspect") as threads:
        return dict(zip(paths, threads.map(_inspect, paths), strict=True))


def missing_files(pairs: Iterable[Pair], checks: Mapping[Path, FileCheck]) -> dict[str, str]:
    """The pairs with files that cannot be read, by output: in one line, which files and why.

    A video may be a folder of images if the pair has an audio file; a mask may always be one.

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


def _missing(pair: Pair, checks: Mapping[Path, FileCheck]) -> str:
    video, mask = checks[pair.video][1], _mask_of(pair)
    reasons = [video if pair.audio is None or not video.endswith(_IS_FOLDER) else ""]
    reasons += [checks[pair.audio][1]] if pair.audio is not None else []
    reasons += [checks[mask][1]] if mask is not None and not checks[mask][1].endswith(_IS_FOLDER) else []
    return "; ".join(reason for reason in reasons if reason)


def _mask_of(pair: Pair) -> Path | None:
    mask = pair.options.get("mask")
    return Path(mask) if isinstance(mask, (str, os.PathLike)) else None


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
