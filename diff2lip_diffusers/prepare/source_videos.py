"""Which videos a training set is made of, and how its files are called after them."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import MediaError

SUFFIXES = {
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".3gp", ".wmv"
}  # fmt: skip
# File names have at most 255 bytes, of which the longest letters take 4, and numbers and suffixes follow.
MAX_NAME = 50


@dataclass(frozen=True)
class InputVideo:
    """A video to take clips from.

    Attributes:
        path: the file.
        name: what the names of its clips begin with, like no other video's.
        folder: the folder that it lies in, directly below the one that was named; of letters like the name.
    """

    path: Path
    name: str
    folder: str

    @property
    def boxes(self) -> Path:
        """Where a file with its true face boxes would be."""
        return self.path.with_name(f"{self.path.stem}.boxes.jsonl")

    @property
    def speech_file(self) -> Path:
        """Where its sound would be, if it has none itself."""
        return self.path.with_suffix(".wav")

    def stamp(self) -> list:
        """What changes when one of its files does: size and time of each, None where there is none."""
        return [_stamp(path) for path in (self.path, self.boxes, self.speech_file)]


def find_videos(sources: Iterable[str | Path]) -> list[InputVideo]:
    """The videos in files and folders; folders are searched to their depth for known suffixes, hidden files left out.

    A video is called after its path below the folder that was named, a file that was named itself after its stem.

    Raises:
        MediaError: a file is missing, a folder cannot be read, or there is no video in one.
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
        found += [path for path in videos if path.suffix.lower() in SUFFIXES]
    if not found:
        known = " ".join(sorted(SUFFIXES))
        raise MediaError(folder, f"holds no video; name another folder, or the files themselves (looked for: {known})")
    return [_below(folder, path) for path in found]


def _below(folder: Path, path: Path) -> tuple[Path, str, str]:
    parts = path.relative_to(folder).with_suffix("").parts
    return path, "-".join(parts), parts[0] if len(parts) > 1 else folder.resolve().name


def _unreadable(error: OSError) -> None:
    raise MediaError(error.filename, f"must not be read ({error.strerror}); check its permissions") from error


def _plain(name: str) -> str:
    """The name in letters, digits, dots, hyphens and underscores, not too long."""
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
