"""Leases on keys in a shared folder, without locks: one live process holds a key.

A lease is a folder named after the key and a generation. It is complete before a rename puts it in place. A folder
cannot be renamed onto a folder that holds a file, so one of several processes wins. The lease of a dead holder is not
removed but superseded by a lease of the next generation: a slow process that removes a dead holder's lease could hit
the lease of a successor in the same place.
"""

import errno
import functools
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..stores.urls import Location
from .heartbeat import Heartbeat, accessing, names_in, read_if_there

_NAME = re.compile(r"([0-9a-f]{32})\.([0-9]+)")
_OWNER = "owner.json"
_ALREADY_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass(frozen=True)
class Lease:
    """A lease as found; an unreadable one, as after a power failure, has no key and no holder."""

    path: Path
    name: str
    generation: int
    holder: str
    key: str | None


class Leases:
    """The leases of one process: at most one live process holds a key.

    After taking a key, check whether its work is done: the last holder may have released it a moment ago.

    Args:
        folder: folder that the processes share; created if needed. Its file system must rename folders atomically, as
            disks, NFS and cluster file systems do; object storage does not.
        process: the heartbeat of this process.
    """

    def __init__(self, folder: str | Path, process: Heartbeat):
        self._shared: Location = Path(folder)
        self._folder = Path(folder) / "leases"
        self._process = process
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Takes a key; returns False if another process holds it, or held it a moment ago.

        Raises:
            ValueError: if this process holds the key already.
            MediaError: if the folder cannot be read or written.
        """
        with self._lock, accessing(self._shared):
            leases = self._find(key)
            if any(lease.holder == self._process.id for lease in leases):
                raise ValueError(f"`key` must be one that this process does not hold, got {key!r}")
            if self._any_alive(leases):
                return False
            generation = leases[-1].generation + 1 if leases else 0
            place = self._folder / f"{name_of_key(key)}.{generation}"
            return self._put(place, key) and self._keep(place, key)

    def release(self, key: str) -> None:
        """Gives a key back. If this process was taken for dead, the lease of its successor stays.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        with self._lock, accessing(self._shared):
            leases = self._find(key)
            mine = [lease for lease in leases if lease.holder == self._process.id]
            # Our own lease goes last. As long as it is in place, nobody else can take the key. So the lower ones still
            # belong to dead holders, and a process that lists the leases sees ours, or none at all. If we are killed
            # in between, the lease of a dead process stays, and the next holder finds the result.
            for lease in leases:
                if mine and lease.generation < mine[-1].generation and not self._any_alive([lease]):
                    self._remove(lease.path)
            for lease in mine:
                self._remove(lease.path)

    def held(self) -> dict[str, str]:
        """The keys that live processes hold, each with the `id` of its holder.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        is_alive = functools.cache(self._process.is_alive)
        with accessing(self._shared):
            leases = self._find()
            return {lease.key: lease.holder for lease in leases if lease.key is not None and is_alive(lease.holder)}

    def glance(self, by_name: Mapping[str, str]) -> set[str]:
        """The keys that seem to be held, as far as that can be told cheaply; their holders may be dead.

        Args:
            by_name: keys that matter, by their [`name_of_key`].

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        return self.all_keys()

    def all_keys(self) -> set[str]:
        """The keys that a live process holds, or that a dead one held when it died.

        Raises:
            MediaError: if the folder cannot be read.
        """
        with accessing(self._shared):
            return {lease.key for lease in self._find() if lease.key is not None}

    def orphaned(self) -> set[str]:
        """The keys whose holder died and that no live process holds.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        is_alive = functools.cache(self._process.is_alive)
        with accessing(self._shared):
            leases = [lease for lease in self._find() if lease.key is not None]
            busy = {lease.name for lease in leases if is_alive(lease.holder)}
            dead = [lease for lease in leases if lease.name not in busy]
            # A holder may have released the key and ended after we listed its lease, before we looked for its file.
            return {lease.key for lease in dead if lease.key is not None and self._read(lease.path) == lease}

    def left_by_killed(self) -> set[str]:
        """The keys whose holder was killed, as nobody has cleaned up after it, and that no live process holds.

        A process that ends by itself takes its heartbeat file with it.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        killed = functools.cache(self._process.is_killed)
        with accessing(self._shared):
            found = [lease for lease in self._find() if lease.key is not None]
            holders = {lease.name: lease.holder for lease in found}  # the last one has the highest generation
            return {lease.key for lease in found if lease.key is not None and killed(holders[lease.name])}

    def keys_of(self, process_ids: Iterable[str]) -> dict[str, set[str]]:
        """The keys that processes hold, or held when they died, by the `id` of the process.

        Raises:
            MediaError: if the folder cannot be read.
        """
        keys: dict[str, set[str]] = {process_id: set() for process_id in process_ids}
        with accessing(self._shared):
            for lease in self._find():
                if lease.key is not None and lease.holder in keys:
                    keys[lease.holder].add(lease.key)
        return keys

    def remove_partial(self, dead_ids: Iterable[str]) -> None:
        """Removes the partial leases of dead processes; their complete ones stay until they are superseded.

        Args:
            dead_ids: ids as [`Heartbeat.forget_dead`] returns them.

        Raises:
            MediaError: if the folder cannot be read.
        """
        dead_ids = set(dead_ids)
        with accessing(self._shared):
            for name in names_in(self._folder):
                if name.startswith(".") and name[1:].rpartition(".")[0] in dead_ids:
                    shutil.rmtree(self._folder / name, ignore_errors=True)

    def _find(self, key: str | None = None) -> list[Lease]:
        """The leases on one key, or on all keys, lowest generation first."""
        wanted = "" if key is None else name_of_key(key)
        # List all names before reading any content. If the list misses a higher lease that is being released, its
        # holder removed the lower ones before, and reading them finds nothing.
        names = [name for name in self._names(wanted) if name.startswith(wanted) and _NAME.fullmatch(name)]
        found = self._read_all([self._folder / name for name in names])
        return sorted((lease for lease in found if lease is not None), key=lambda lease: lease.generation)

    def _names(self, wanted: str) -> Iterable[str]:
        """The names of all leases, or at least of those that start so."""
        return names_in(self._folder)

    def _read_all(self, places: Sequence[Path]) -> list[Lease | None]:
        return [self._read(place) for place in places]

    def _read(self, place: Path) -> Lease | None:
        """The lease at that place; None if it is gone."""
        found = read_if_there(place / _OWNER)
        return None if found is None else parsed_lease(place, found[0])

    def _any_alive(self, leases: Iterable[Lease]) -> bool:
        return any(self._process.is_alive(lease.holder) for lease in leases)

    def _put(self, place: Path, key: str) -> bool:
        """Puts a lease of this process in place; returns False if another process was first."""
        part = self._part()
        try:
            _write(part, {"process": self._process.id, "key": key})
            os.rename(part, place)
        except OSError as error:
            if self._is_mine(place):  # the file server renamed it, but its answer got lost
                return True
            shutil.rmtree(part, ignore_errors=True)
            if error.errno in _ALREADY_TAKEN:
                return False
            raise
        return True

    def _keep(self, place: Path, key: str) -> bool:
        """Checks, with our lease in place, that nobody else holds the key; otherwise takes our lease back."""
        # The earlier listing may be out of date: another successor may have released the superseded lease since, and
        # the key may have been taken anew from generation 0. Two processes that both look after both put their leases
        # in place cannot miss each other. Our own lease is checked after the others are listed: a holder that released
        # the key before the listing may have removed ours, mistaking it for the dead one's.
        others = [lease for lease in self._find(key) if lease.path != place]
        if not self._is_mine(place):
            return False
        if self._any_alive(others):
            self._remove(place)
            return False
        return True

    def _is_mine(self, place: Path) -> bool:
        lease = self._read(place)
        return lease is not None and lease.holder == self._process.id

    def _remove(self, place: Path) -> None:
        part = self._part()
        with suppress(FileNotFoundError):
            os.rename(place, part)
        shutil.rmtree(part, ignore_errors=True)

    def _part(self) -> Path:
        return self._folder / f".{self._process.id}.{secrets.token_hex(4)}"


def name_of_key(key: str) -> str:
    """A name of 32 letters and digits for a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _write(folder: Path, owner: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    with (folder / _OWNER).open("w", encoding="utf-8") as file:
        json.dump(owner, file)
        file.flush()
        os.fsync(file.fileno())


def parsed_lease(place: Path, content: bytes) -> Lease:
    """The lease at a place with that content."""
    name, _, generation = place.name.rpartition(".")
    try:
        owner = json.loads(content)
        return Lease(place, name, int(generation), str(owner["process"]), str(owner["key"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Lease(place, name, int(generation), "", None)
