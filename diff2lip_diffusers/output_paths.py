"""Output paths: checked before the work, written in a hidden folder beside, moved into place when complete."""

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from av.error import FFmpegError
from safetensors import SafetensorError

from .errors import MediaError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")


def names_folder(path: str | Path) -> bool:
    """Tells whether an output path means a folder of images: an existing folder, or a name without suffix."""
    suffix = Path(path).suffix.lower()
    return not suffix or (Path(path).is_dir() and suffix not in VIDEO_SUFFIXES)


def check_output_path(path: str | Path, *inputs: str | Path | None) -> None:
    """Checks before the work that a video, or a folder of images, can be written there.

    Whoever takes an output path from a user calls this first, as `sync_video` does; the writers do not check again.

    Args:
        path: the output.
        inputs: files that must not be overwritten; None is skipped.

    Raises:
        MediaError: an unknown suffix, a folder with files in it, a missing or unwritable parent folder, or an input.
    """
    target = Path(path)
    # Unlike `Path.resolve`, `realpath` takes links that lead to themselves.
    if any(source is not None and os.path.realpath(target) == os.path.realpath(source) for source in inputs):
        raise MediaError(path, "is an input as well; choose another name for the output")
    if names_folder(target):
        _check_empty(target)
    elif target.is_dir():
        raise MediaError(path, "is a folder; name a file in it")
    elif target.suffix.lower() not in VIDEO_SUFFIXES:
        known = ", ".join(VIDEO_SUFFIXES)
        raise MediaError(path, f"cannot be written as {target.suffix}; use {known}, or no suffix for PNG files")
    with writing(path), hidden_folder_beside(target):
        pass


def _check_empty(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()):
        raise MediaError(target, "is a folder with files in it; name a video in it, or a new folder for PNG files")
    if target.exists() and not target.is_dir():
        raise MediaError(target, "is a file without suffix; choose another name for the output")


class HiddenFolder(tempfile.TemporaryDirectory):
    """A hidden folder for an unfinished output, beside it; others see by its lock that its process lives.

    Args:
        target: the output.
    """

    def __init__(self, target: Path):
        while True:
            super().__init__(dir=target.parent, prefix=_prefix_of(target))
            lock = _locked(Path(self.name))
            if lock is not None:
                weakref.finalize(self, os.close, lock)
            if os.path.isdir(self.name):
                return
            # Another process took it for a leftover before it had its lock.
            self.cleanup()


def hidden_folder_beside(target: Path) -> tempfile.TemporaryDirectory[str]:
    """A hidden folder for an unfinished output, beside it; removes those of killed processes first."""
    remove_leftovers_of(target)
    return HiddenFolder(target)


def remove_leftovers_of(target: Path) -> None:
    """Removes hidden folders beside an output that killed processes left there."""
    name = re.compile(re.escape(_prefix_of(target)) + "[a-z0-9_]{8}")
    with suppress(OSError):
        for folder in [path for path in target.parent.iterdir() if name.fullmatch(path.name) and path.is_dir()]:
            if (lock := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _prefix_of(target: Path) -> str:
    return f".{target.stem[:40]}."


def _locked(folder: Path) -> int | None:
    """Locks a folder, as long as this process lives or until the number that it returns is closed.

    Returns None if another process has locked it, or if folders cannot be locked here.
    """
    if fcntl is None:
        return None
    try:
        number = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


@contextmanager
def filling_folder(folder: str | Path) -> Iterator[Path]:
    """Yields a hidden folder beside `folder`; when the block ends, its files are moved into `folder` one by one.

    Other files in `folder` stay.

    Raises:
        MediaError: the folder cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hidden_folder_beside(folder) as hidden:
            yield Path(hidden)
            mode = _mode_of_new_files(Path(hidden))
            for file in sorted(path for path in Path(hidden).rglob("*") if path.is_file()):
                target = folder / file.relative_to(hidden)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.chmod(mode)
                file.replace(target)


def _mode_of_new_files(folder: Path) -> int:
    """The rights of files that this process creates, by its umask; reading that would change it for all threads."""
    number = os.open(folder / ".new", os.O_CREAT | os.O_WRONLY, 0o666)
    try:
        return os.fstat(number).st_mode & 0o777
    finally:
        os.close(number)
        (folder / ".new").unlink()


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns errors of the disk, FFmpeg and safetensors into a MediaError that names the target."""
    try:
        yield
    except FileNotFoundError as error:
        raise MediaError(path, "cannot be written: its folder does not exist; create it first") from error
    except (FFmpegError, OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(path, f"cannot be written: {reason}; choose another folder or make room") from error
