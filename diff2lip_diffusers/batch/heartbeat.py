"""Heartbeat files in a shared folder: they tell which processes are alive.

A dead process on the same machine is noticed at once. A process on another machine counts as dead when it has not
touched its file for `lease_s` seconds. Both times of this comparison come from the file server, so the machines'
clocks may differ.
"""

import errno
import json
import math
import os
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from ..errors import MediaError
from ..stores.urls import Location

# The file does not exist (any more). NFS reports a file as stale that was removed while it was open.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)


class Heartbeat:
    """The heartbeat of this process: a file that it touches as long as it lives.

    A context manager: the file exists inside the block.

    Args:
        folder: folder that the processes share; created if needed.
        heartbeat_s: seconds from one touch to the next.
        lease_s: how many seconds a process on another machine counts as alive after its last touch.

    Attributes:
        id: unique name of this process, of letters, digits, dots and hyphens.

    Raises:
        ValueError: if `lease_s` is shorter than three heartbeats.
        MediaError: on entering, if the folder cannot be written.
    """

    def __init__(self, folder: str | Path, heartbeat_s: float = 15, lease_s: float = 180):
        if not 0 < 3 * heartbeat_s <= lease_s:
            raise ValueError(f"`lease_s` must be at least three times `heartbeat_s`, got {lease_s} and {heartbeat_s}")
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64].strip(".-")
        self.id = f"{host or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
        self._shared: Location = Path(folder)
        self._folder = Path(folder) / "processes"
        self._heartbeat_s, self._lease_s = heartbeat_s, lease_s
        # In the file server's time: the last touch of our file, and the first touch after the server stood still.
        self._touched_s, self._resumed_s = math.inf, -math.inf
        self._lock, self._leaving = threading.Lock(), threading.Event()

    def __enter__(self) -> "Heartbeat":
        with accessing(self._shared):
            self._touch()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, error_type, error, traceback) -> None:
        self._leaving.set()
        self._thread.join()
        with suppress(OSError, MediaError):  # the others will find it dead
            self._remove(self.id)

    def is_alive(self, process_id: str) -> bool:
        """Whether a process is alive: exact on this machine; on another machine, judged by its last touch.

        Args:
            process_id: the `id` of the process.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        if process_id == self.id:
            return True
        with accessing(self._shared):
            found = self._read(process_id)
            if found is None:
                return False
            content, touched_s = found
            runs = _runs_here(content)
            return self._has_lease(touched_s) if runs is None else runs

    def is_killed(self, process_id: str) -> bool:
        """Whether a process is dead and did not end by itself: it left its file.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        with accessing(self._shared):
            return self._read(process_id) is not None and not self.is_alive(process_id)

    def forget_dead(self) -> set[str]:
        """Removes the files of dead processes and returns their ids.

        Each dead process is returned to one caller only, who can clean up after it.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        with accessing(self._shared):
            self._drop_parts()
            ids = self._ids()
            return {process_id for process_id in ids if not self.is_alive(process_id) and self._forget(process_id)}

    def others_alive(self) -> bool:
        """Whether other processes work on the folder.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        with accessing(self._shared):
            return any(process_id != self.id and self.is_alive(process_id) for process_id in self._ids())

    def _forget(self, process_id: str) -> bool:
        try:
            self._remove(process_id)
        except OSError:  # another process was faster, or this one lacks the rights
            return False
        return True

    def _ids(self) -> set[str]:
        """The processes that have a file."""
        return {name.removesuffix(".json") for name in names_in(self._folder) if name.endswith(".json")}

    def _read(self, process_id: str) -> tuple[bytes, float] | None:
        """The content of the file of a process, and when it was touched last; None if there is none."""
        return read_if_there(self._path_of(process_id))

    def _remove(self, process_id: str) -> None:
        self._path_of(process_id).unlink()

    def _drop_parts(self) -> None:
        """Removes partial files of processes that were killed while they wrote."""
        for part in self._folder.glob(".*.part"):
            with suppress(OSError):
                if not self._has_lease(part.stat().st_mtime):
                    part.unlink()

    def _path_of(self, process_id: str) -> Path:
        return self._folder / f"{process_id}.json"

    def _beat(self) -> None:
        while not self._leaving.wait(self._heartbeat_s):
            with suppress(OSError, MediaError):  # the file server may be back at the next beat
                self._touch()

    def _touch(self) -> float:
        """Touches the file of this process, or writes it again; returns its time, by the file server's clock."""
        with self._lock:
            now_s = self._renew()
            if now_s - self._touched_s > self._lease_s / 2:
                self._resumed_s = now_s
            self._touched_s = now_s
            return now_s

    def _renew(self) -> float:
        """Touches or writes the file, and returns its time."""
        path = self._path_of(self.id)
        try:
            os.utime(path)
            return path.stat().st_mtime
        except FileNotFoundError:
            return self._write(path)

    def _write(self, path: Path) -> float:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{self.id}.{secrets.token_hex(4)}.part"
        part.write_text(self._content())
        now_s = part.stat().st_mtime
        part.replace(path)
        return now_s

    def _content(self) -> str:
        """What tells others on this machine whether this process runs."""
        host, boot_id, pid_namespace = _pid_scope()
        scope = {"host": host, "boot_id": boot_id, "pid_namespace": pid_namespace}
        process = {"pid": os.getpid(), "created_s": _started_s(psutil.Process())}
        return json.dumps({**scope, **process}) + "\n"

    def _has_lease(self, touched_s: float) -> bool:
        now_s = self._touch()
        # After a file server stood still, all processes look dead to the first one that reaches it again. So if this
        # process could not touch its own file either, the others get a whole lease from then on.
        return now_s - max(touched_s, self._resumed_s) <= self._lease_s


@contextmanager
def accessing(folder: Location) -> Iterator[None]:
    """Turns an `OSError` of the block into one line that names the folder.

    Raises:
        MediaError: for an `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        reason = f"cannot be written: {error.strerror or error}; make room or choose another folder"
        raise MediaError(str(folder), reason) from error


def names_in(folder: Path) -> list[str]:
    """The names in a folder; none if the folder does not exist."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def read_if_there(path: Path) -> tuple[bytes, float] | None:
    """The content of a file and the time of its last change in seconds; None if the file does not exist."""
    try:
        # Opening a file makes an NFS client ask the server for the time of change; `stat` alone may be a minute old.
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mtime
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def _runs_here(content: bytes) -> bool | None:
    """Whether the process that wrote a heartbeat file runs; None if this machine cannot know."""
    try:
        written = json.loads(content)
        scope = (written["host"], written["boot_id"], written["pid_namespace"])
        return _runs(int(written["pid"]), float(written["created_s"])) if scope == _pid_scope() else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, psutil.AccessDenied):
        return None


def _runs(pid: int, started_s: float) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(_started_s(process) - started_s) <= 1
    except psutil.NoSuchProcess:
        return False


def _started_s(process: psutil.Process) -> float:
    """When a process started; on Linux in seconds since boot, so that setting the clock changes nothing."""
    booted_s = psutil.boot_time() if psutil.LINUX else 0
    return process.create_time() - booted_s


def _pid_scope() -> tuple[str, str | None, str | None]:
    """The scope in which a process number is unique: host, boot and namespace of process numbers."""
    boot_id = pid_namespace = None
    with suppress(OSError):
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with suppress(OSError):
        pid_namespace = os.readlink("/proc/self/ns/pid")
    return socket.gethostname(), boot_id, pid_namespace
