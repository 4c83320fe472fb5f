"""A bounded folder on a local disk for inputs from object stores; the processes of a machine share it.

Each input has a folder of its own, and whoever reads the file holds a lock on that folder. A file that nobody reads
may be removed, those that were not read for longest first. The locks end with their process, however it ends.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..errors import MediaError
from .object_store import ObjectInfo
from .urls import Url

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, so that each process needs a folder of its own
    fcntl = None

LOOK_UP_S = 0.2
MAX_NAME_BYTES = 200
_PART, _RESERVED = ".part", ".reserved"
Download = Callable[[Url, Path], int]
"""Writes the object of a URL into a file and returns its size in bytes."""


class _NoRoomError(Exception):
    """The files that others read fill the cache."""


@dataclass(frozen=True)
class _Held:
    """A file that this process holds.

    Args:
        path: the file.
        lock: number of the locked folder.
    """

    path: Path
    lock: int


class HeldInputs:
    """Local copies of inputs, which stay until they are closed. A context manager.

    Attributes:
        paths: the local files, by URL.
    """

    def __init__(self, held: Mapping[Url, _Held]):
        self._held = dict(held)
        self.paths = {url: one.path for url, one in self._held.items()}

    def close(self) -> None:
        """Lets the files go; they stay in the cache until their place is needed."""
        for one in self._held.values():
            os.close(one.lock)
        self._held = {}

    def __enter__(self) -> "HeldInputs":
        return self

    def __exit__(self, error_type, error, traceback) -> None:
        self.close()


class InputCache:
    """The cache. Several threads and processes may use it.

    Args:
        folder: its folder; created if needed.
        limit_bytes: the most that its files take.
        download: fetches an object.
    """

    def __init__(self, folder: Path, limit_bytes: int, download: Download):
        self._folder, self._limit_bytes, self._download = folder, limit_bytes, download

    def hold(self, wanted: Mapping[Url, ObjectInfo]) -> HeldInputs:
        """Local copies of some objects, downloaded where they are not there; waits until there is room for all.

        Raises:
            MediaError: they are larger than the cache, or the folder cannot be written.
            StoreError: one cannot be read.
        """
        self._check_sizes(wanted)
        while True:
            held: dict[Url, _Held] = {}
            try:
                for url, info in wanted.items():
                    held[url] = self._hold_one(url, info)
                return HeldInputs(held)
            except _NoRoomError:  # others wait for room as well, and may need what this process holds
                HeldInputs(held).close()
                time.sleep(LOOK_UP_S)
            except BaseException:
                HeldInputs(held).close()
                raise

    def _check_sizes(self, wanted: Mapping[Url, ObjectInfo]) -> None:
        total = 0
        for url, info in wanted.items():
            if info.size is None:
                raise MediaError(str(url), "its server does not tell its size; download it yourself")
            total += info.size
        if total > self._limit_bytes:
            size, limit = (f"{number / 1e9:.3g} GB" for number in (total, self._limit_bytes))
            names = ", ".join(map(str, wanted))
            raise MediaError(names, f"takes {size}, more than the cache may hold ({limit}); raise --input-cache-gb")

    def _hold_one(self, url: Url, info: ObjectInfo) -> _Held:
        size = info.size or 0
        key = sha256(f"{url.full}\n{size}\n{info.version}".encode()).hexdigest()[:32]
        folder = self._folder / key
        path = folder / _local_name(url)
        while True:
            with self._writing(), self._alone():
                lock, is_new = self._enter(folder, path, size)
            if lock is None:  # another process downloads it
                time.sleep(LOOK_UP_S)
                continue
            if is_new:
                try:
                    self._fetch(url, path, size)
                    with self._writing(), self._alone():
                        (folder / _PART).replace(path)
                        _lock(lock, exclusive=False)
                except BaseException:
                    with suppress(OSError):
                        shutil.rmtree(folder)
                    os.close(lock)
                    raise
            with suppress(OSError):
                os.utime(folder)
            return _Held(path, lock)

    def _enter(self, folder: Path, path: Path, size: int) -> tuple[int | None, bool]:
        """Locks the folder of an input; returns the number of the lock, and whether the file is to be downloaded.

        There is no lock while another process downloads it.
        """
        if not folder.is_dir():
            self._make_room(size)
            folder.mkdir(parents=True)
            (folder / _RESERVED).write_text(str(size))
        lock = os.open(folder, os.O_RDONLY)
        is_new = not path.exists()
        if _lock(lock, exclusive=is_new):
            return lock, is_new
        os.close(lock)
        return None, False

    def _fetch(self, url: Url, path: Path, size: int) -> None:
        part = path.with_name(_PART)
        with self._writing():
            found = self._download(url, part)
        if found != size:
            raise MediaError(str(url), f"{found} of {size} bytes arrived; it was cut or changed meanwhile; try again")

    def _make_room(self, size: int) -> None:
        """Removes files that nobody reads until there is room."""
        folders = sorted((path for path in self._folder.iterdir() if path.is_dir()), key=_used_s)
        sizes = {folder: _reserved(folder) for folder in folders}
        for folder in folders:
            if sum(sizes.values()) + size <= self._limit_bytes:
                return
            lock = os.open(folder, os.O_RDONLY)
            try:
                if _lock(lock, exclusive=True):
                    shutil.rmtree(folder, ignore_errors=True)
                    sizes[folder] = 0
            finally:
                os.close(lock)
        if sum(sizes.values()) + size > self._limit_bytes:
            raise _NoRoomError

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the cache inside the block."""
        self._folder.mkdir(parents=True, exist_ok=True)
        number = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(number, fcntl.LOCK_EX)
            yield
        finally:
            os.close(number)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}; make room, or choose another --input-cache-dir"
            raise MediaError(self._folder, reason) from error


def _lock(number: int, exclusive: bool) -> bool:
    """Locks a folder for all who read it, or for one process alone; returns whether that was possible at once."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(number, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _local_name(url: Url) -> str:
    """A name for the local file: that of the object, unless a disk cannot hold it."""
    name = url.name
    if name and name.isprintable() and "/" not in name and name[0] != "." and len(name.encode()) <= MAX_NAME_BYTES:
        return name
    suffix = url.suffix
    return f"input{suffix if suffix.isascii() and suffix.isprintable() and len(suffix) < 8 else ''}"


def _used_s(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _reserved(folder: Path) -> int:
    try:
        return int((folder / _RESERVED).read_text())
    except (OSError, ValueError):
        return 0
