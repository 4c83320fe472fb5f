"""The files of many pairs, looked at before the work."""

import os
import stat
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .pairs import Pair

# A file server takes a while for each question, but many at a time.
THREADS = 16
_IS_FOLDER = "is a folder, not a file"
Look = tuple[int, str]  # size in bytes, and why it cannot be read if it cannot


def look_at_files(pairs: Iterable[Pair]) -> dict[Path, Look]:
    """The size in bytes of each file that pairs name, and in one line why it cannot be read, or an empty text.

    A folder of images is no file: its size is 0.
    """
    paths = list({path: None for pair in pairs for path in (pair.video, pair.audio) if path is not None})
    with ThreadPoolExecutor(THREADS, thread_name_prefix="look") as threads:
        return dict(zip(paths, threads.map(_look_at, paths), strict=True))


def missing_files(pairs: Iterable[Pair], looks: Mapping[Path, Look]) -> dict[str, str]:
    """Why pairs cannot be made, by their output: in one line, which of their files cannot be read.

    A video may be a folder of images where the sound comes from elsewhere.

    Args:
        pairs: whose files were looked at.
        looks: what `look_at_files` found.
    """
    reasons = {pair.output: _missing(pair, looks) for pair in pairs}
    return {output: reason for output, reason in reasons.items() if reason}


def first_missing(pairs: Iterable[Pair], missing: Mapping[str, str]) -> str:
    """Where a list names the first pair of which a file is missing, and why that cannot be read; in one line."""
    first = next(pair for pair in pairs if pair.output in missing)
    return f"{'' if first.line is None else f'line {first.line}: '}{missing[first.output]}"


def _missing(pair: Pair, looks: Mapping[Path, Look]) -> str:
    video = looks[pair.video][1]
    if pair.audio is None:
        return video
    return "; ".join(
        reason for reason in ("" if video.endswith(_IS_FOLDER) else video, looks[pair.audio][1]) if reason
    )


def _look_at(path: Path) -> Look:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return 0, f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
    if stat.S_ISDIR(status.st_mode):
        return 0, f"{path}: {_IS_FOLDER}"
    if not stat.S_ISREG(status.st_mode):
        return 0, f"{path}: is no file"
    return status.st_size, "" if os.access(path, os.R_OK) else f"{path}: cannot be read: check its rights"
