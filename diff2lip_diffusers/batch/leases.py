"""Who works on what, agreed upon by many processes in a shared folder without locks.

A claim is a folder named after the key and a generation, complete before a rename puts it in place. Renaming a folder
onto one that holds a file fails, so of all who try one wins. A dead holder's claim is overtaken by one of the next
generation: were it removed, a slow process could remove the claim of a successor in the same place instead.
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
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .heartbeat import Heartbeat, accessing, names_in, read_if_there

_NAME = re.compile(r"([0-9a-f]{32})\.([0-9]+)")
_OWNER = "owner.json"
_IN_PLACE_ALREADY = (errno.ENOTEMPTY, errno.EEXIST)


@dataclass(frozen=True)
class _Lease:
    """What was found in place; one that cannot be read, as after a power failure, has no key and nobody as holder."""

    path: Path
    name: str
    generation: int
    holder: str
    key: str | None


class Leases:
    """Who works on what: at most one live process has a key.

    Whoever has taken a key has to look then whether the work is done: it may have been released a moment before.

    Args:
        folder: what the processes share; made on demand. Its file system has to rename folders at once, as disks,
            NFS and cluster file systems do; object storage does not.
        process: this process, as the others see it.
    """

    def __init__(self, folder: str | Path, process: Heartbeat):
        self._shared, self._folder = Path(folder), Path(folder) / "leases"
        self._process = process
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Whether this process has the key now; where not, another one has it or had it a moment ago.

        Raises:
            ValueError: for a key that this process has.
            MediaError: if the folder cannot be read or written.
        """
        with self._lock, accessing(self._shared):
            leases = self._find(key)
            if any(claim.holder == self._process.id for claim in leases):
                raise ValueError(f"`key` must be one that this process does not have, got {key!r}")
            if self._any_alive(leases):
                return False
            generation = leases[-1].generation + 1 if leases else 0
            place = self._folder / f"{_name_of(key)}.{generation}"
            return self._put(place, key) and self._keep(place, key)

    def release(self, key: str) -> None:
        """Gives a key back; leaves alone who overtook this process, which was taken for dead then.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        with self._lock, accessing(self._shared):
            leases = self._find(key)
            mine = [claim for claim in leases if claim.holder == self._process.id]
            # Our own one goes last. As long as it is in place nobody else comes to hold the key, so the lower ones are
            # still the dead holders', and whoever lists the leases sees it or, as they were removed before, none.
            # Killed in between, we leave the claim of a dead process: the next holder finds the result.
            for claim in leases:
                if mine and claim.generation < mine[-1].generation and not self._any_alive([claim]):
                    self._remove(claim.path)
            for claim in mine:
                self._remove(claim.path)

    def held(self) -> dict[str, str]:
        """The keys at work, each with the `id` of the live process that has it.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        is_alive = functools.cache(self._process.is_alive)
        with accessing(self._shared):
            leases = [claim for claim in self._find() if claim.key is not None]
            return {claim.key: claim.holder for claim in leases if is_alive(claim.holder)}

    def all(self) -> set[str]:
        """The keys that anyone, dead or alive, has or had when it died.

        Raises:
            MediaError: if the folder cannot be read.
        """
        with accessing(self._shared):
            return {claim.key for claim in self._find() if claim.key is not None}

    def left_over(self) -> set[str]:
        """The keys that no live process has and whose last holder died.

        Raises:
            MediaError: if the folder cannot be read or written.
        """
        is_alive = functools.cache(self._process.is_alive)
        with accessing(self._shared):
            leases = [claim for claim in self._find() if claim.key is not None]
            busy = {claim.name for claim in leases if is_alive(claim.holder)}
            dead = [claim for claim in leases if claim.name not in busy]
            # A holder may have released it and gone between our look at its claim and at itself.
            return {claim.key for claim in dead if _read(claim.path) == claim}

    def sweep(self, dead_ids: Iterable[str]) -> None:
        """Removes what dead processes left half made; their leases stay, to be overtaken.

        Args:
            dead_ids: such as [`Heartbeat.forget_dead`] returns.

        Raises:
            MediaError: if the folder cannot be read.
        """
        dead_ids = set(dead_ids)
        with accessing(self._shared):
            for name in names_in(self._folder):
                if name.startswith(".") and name[1:].rpartition(".")[0] in dead_ids:
                    shutil.rmtree(self._folder / name, ignore_errors=True)

    def _find(self, key: str | None = None) -> list[_Lease]:
        """The leases on a key, or on all, from the lowest generation."""
        wanted = "" if key is None else _name_of(key)
        # All names before any content: a claim whose higher one was missed as it was being released is gone by then.
        names = [name for name in names_in(self._folder) if name.startswith(wanted) and _NAME.fullmatch(name)]
        found = [_read(self._folder / name) for name in names]
        return sorted((claim for claim in found if claim is not None), key=lambda claim: claim.generation)

    def _any_alive(self, leases: Iterable[_Lease]) -> bool:
        return any(self._process.is_alive(claim.holder) for claim in leases)

    def _put(self, place: Path, key: str) -> bool:
        """Whether a claim of this process got there first."""
        part = self._part()
        try:
            _write(part, {"process": self._process.id, "key": key})
            os.rename(part, place)
        except OSError as error:
            if self._is_mine(place):  # the file server has renamed it, its answer got lost
                return True
            shutil.rmtree(part, ignore_errors=True)
            if error.errno in _IN_PLACE_ALREADY:
                return False
            raise
        return True

    def _keep(self, place: Path, key: str) -> bool:
        """Whether nobody else has the key, seen with this process's claim in place; takes that back where not."""
        # What was listed before may be out of date: the claim that was overtaken has been released since, by another
        # successor, and the key has been taken anew from generation 0. Of two who look only after both have put their
        # leases in place, at least one sees the other. Ours comes second: it may have been removed in mistake for the
        # dead one's, by a holder who released the key before we looked for others.
        others = [claim for claim in self._find(key) if claim.path != place]
        if not self._is_mine(place):
            return False
        if self._any_alive(others):
            self._remove(place)
            return False
        return True

    def _is_mine(self, place: Path) -> bool:
        claim = _read(place)
        return claim is not None and claim.holder == self._process.id

    def _remove(self, place: Path) -> None:
        part = self._part()
        with suppress(FileNotFoundError):
            os.rename(place, part)
        shutil.rmtree(part, ignore_errors=True)

    def _part(self) -> Path:
        return self._folder / f".{self._process.id}.{secrets.token_hex(4)}"


def _name_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _write(folder: Path, owner: dict[str, str]) -> None:
    folder.mkdir(parents=True)
    with (folder / _OWNER).open("w", encoding="utf-8") as file:
        json.dump(owner, file)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> _Lease | None:
    """The claim in place there, None where there is none any more."""
    found = read_if_there(path / _OWNER)
    if found is None:
        return None
    name, _, generation = path.name.rpartition(".")
    try:
        owner = json.loads(found[0])
        return _Lease(path, name, int(generation), str(owner["process"]), str(owner["key"]))
    except (ValueError, TypeError, KeyError):
        return _Lease(path, name, int(generation), "", None)
