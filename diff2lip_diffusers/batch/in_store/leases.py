"""Leases in an object store: objects that are created only if there is none."""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...stores.object_store import ObjectStore
from ..leases import Lease, Leases, parsed_lease
from .heartbeat import StoredHeartbeat
from .pace import Pace

FOLDER = "leases"
THREADS = 16


class StoredLeases(Leases):
    """The leases of one process, as objects. Who holds other keys is looked up at a slow pace.

    Args:
        store: the state of the batch.
        process: the heartbeat of this process.
    """

    def __init__(self, store: ObjectStore, process: StoredHeartbeat):
        super().__init__("", process)
        self._store, self._shared = store, store.base
        self._folder = Path(FOLDER)
        # Leases by place and version: an object of the same version has the same content.
        self._known: dict[Path, tuple[str, Lease]] = {}
        self._pace, self._last_held = Pace(), dict[str, str]()
        self._left_pace, self._last_left = Pace(), set[str]()
        self._glance_pace, self._last_seen = Pace(), set[str]()
        self._mine: set[str] = set()

    def take(self, key: str) -> bool:
        """Takes a key; returns False if another process holds it, or held it a moment ago."""
        is_taken = super().take(key)
        if is_taken:
            self._mine.add(key)
        return is_taken

    def release(self, key: str) -> None:
        """Gives a key back. If this process was taken for dead, the lease of its successor stays."""
        super().release(key)
        self._mine.discard(key)
        self._last_held.pop(key, None)
        self._last_seen.discard(key)

    def held(self) -> dict[str, str]:
        """The keys that live processes held when this process looked last, and its own; each with its holder."""
        if self._pace.is_due():
            self._last_held = super().held()
            self._pace.looked()
        return self._last_held | dict.fromkeys(self._mine.copy(), self._process.id)

    def glance(self, by_name: Mapping[str, str]) -> set[str]:
        """The keys that have a lease, when this process looked last, and its own; no lease is read for that."""
        if self._glance_pace.is_due():
            names = {name.partition("/")[0] for name in self._store.list(FOLDER, deep=True)}
            self._last_seen = {by_name[name] for name in names if name in by_name}
            self._glance_pace.looked()
        return self._last_seen | self._mine.copy()

    def left_by_killed(self) -> set[str]:
        """The keys whose holder was killed and that no live process held, when this process looked last."""
        if self._left_pace.is_due():
            self._last_left = super().left_by_killed()
            self._left_pace.looked()
        return set(self._last_left)

    def remove_partial(self, dead_ids: Iterable[str]) -> None:
        """There are none: objects appear whole."""

    def _names(self, wanted: str) -> Iterable[str]:
        found = self._store.list(f"{FOLDER}/{wanted}" if wanted else FOLDER, deep=not wanted)
        named = {f"{wanted}/{name}" if wanted else name: info.version for name, info in found.items()}
        versions = {self._folder / name.replace("/", "."): version for name, version in named.items()}
        kept = (item for item in self._known.items() if wanted and not item[0].name.startswith(wanted))
        self._known = dict(kept) | {
            place: known for place, known in self._known.items() if versions.get(place) == known[0]
        }
        self._versions = versions
        return [place.name for place in versions]

    def _read_all(self, places: Sequence[Path]) -> list[Lease | None]:
        new = [place for place in places if place not in self._known]
        with ThreadPoolExecutor(THREADS, thread_name_prefix="leases") as threads:
            for place, lease in zip(new, threads.map(self._read, new), strict=True):
                if lease is not None:
                    self._known[place] = self._versions[place], lease
        return [self._known[place][1] if place in self._known else None for place in places]

    def _read(self, place: Path) -> Lease | None:
        content = self._store.read(_object_at(place))
        return None if content is None else parsed_lease(place, content)

    def _put(self, place: Path, key: str) -> bool:
        owner = json.dumps({"process": self._process.id, "key": key})
        return self._store.create(_object_at(place), owner.encode()) or self._is_mine(place)

    def _remove(self, place: Path) -> None:
        self._known.pop(place, None)
        self._store.remove(_object_at(place))


def _object_at(place: Path) -> str:
    """The name of the object: a folder for each key, so that one key can be listed alone."""
    return f"{FOLDER}/{place.name.replace('.', '/')}"
