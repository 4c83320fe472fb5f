"""Finds the videos for a training set, and names its clips after them."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import MediaError

VIDEO_SUFFIXES = {
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".3gp", ".wmv"
}  # fmt: skip
# File names have at most 255 bytes. A letter takes up to 4 of them, and numbers and suffixes follow.
MAX_NAME = 50


@dataclass(frozen=True)
class InputVideo:
    """A video to take clips from.

    Attributes:
        path: the file.
        name: unique; names of its clips start with it.
        folder: its top folder inside the folder that was searched; has the same characters as `name`.
    """

    path: Path
    name: str
    folder: str

    @property
    def boxes(self) -> Path:
        """Path of a file with known face boxes, which need not exist."""
        return self.path.with_name(f"{self.path.stem}.boxes.jsonl")

    @property
    def speech_file(self) -> Path:
        """Path of its speech for a video without audio, which need not exist."""
        return self.path.with_suffix(".wav")

    def stamp(self) -> list:
        """Size and time of each of its files, None for a missing one; changes when a file does."""
        return [_stamp(path) for path in (self.path, self.boxes, self.speech_file)]


def find_videos(sources: Iterable[str | Path]) -> list[InputVideo]:
    """Videos in files and folders; folders are searched recursively for known suffixes, without hidden files.

    A video in a folder is named after its path in that folder, a file passed by itself after its stem.

    Raises:
        MediaError: if a file is missing, or a folder cannot be read or has no video.
    """
    found: dict[Path, tuple[str, str]] = {}
    for source in map(Path, sources):
        for path, name, folder in _in_folder(source) if source.is_dir() else [_file(source)]:
            found.setdefault(path.resolve(), (_plain(name), _plain(folder)))
    counts = Counter(name.casefold() for name, _ in found.values())
    return [
        InputVideo(path, name if counts[name.casefold()] == 1 else f"{name}-{_digest(str(path))}", folder)
        for path, (name, folder) in found.items()
    ]


def _file(path: Path) -> tuple[Path, str, str]:
    if not path.exists():
        raise MediaError(path, "no such file or folder; check the path")
    return path, path.stem, path.resolve().parent.name


def _in_folder(folder: Path) -> list[tuple[Path, str, str]]:
    found = []
    for place, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        videos = (Path(place, name) for name in sorted(names) if name[0] != ".")
        found += [path for path in videos if path.suffix.lower() in VIDEO_SUFFIXES]
    if not found:
        known = " ".join(sorted(VIDEO_SUFFIXES))
        raise MediaError(folder, f"has no video; name another folder, or the files themselves (searched for: {known})")
    return [_below(folder, path) for path in found]


def _below(folder: Path, path: Path) -> tuple[Path, str, str]:
    parts = path.relative_to(folder).with_suffix("").parts
    return path, "-".join(parts), parts[0] if len(parts) > 1 else folder.resolve().name


def _unreadable(error: OSError) -> None:
    raise MediaError(error.filename, f"cannot be read ({error.strerror}); check its permissions") from error


def _plain(name: str) -> str:
    """The name limited to letters, digits, dots, hyphens and underscores, and to `MAX_NAME` characters."""
    plain = re.sub(r"[^\w.-]+", "_", name).strip(".") or "video"
    return plain if len(plain) <= MAX_NAME else f"{plain[: MAX_NAME - 9]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def _stamp(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
