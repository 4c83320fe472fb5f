"""Heartbeats in an object store."""

import time

from ...errors import MediaError
from ...stores.object_store import ObjectInfo, ObjectStore
from ..heartbeat import Heartbeat

FOLDER = "processes"
# A process that was listed as alive is not looked up again for so long.
TRUSTED_S = 5.0


class StoredHeartbeat(Heartbeat):
    """A heartbeat as an object that is written again and again.

    Ages are differences of two times of the store: that of the object, and that of this process's own.

    Args:
        store: the state of the batch.
        heartbeat_s: seconds from one beat to the next.
        lease_s: how many seconds a process on another machine counts as alive after its last beat.
    """

    def __init__(self, store: ObjectStore, heartbeat_s: float = 15, lease_s: float = 180):
        super().__init__("", heartbeat_s, lease_s)
        self._store, self._shared = store, store.base
        self._listed: dict[str, ObjectInfo] = {}
        self._contents: dict[str, bytes] = {}
        self._listed_s = float("-inf")

    def is_alive(self, process_id: str) -> bool:
        """Whether a process is alive: exact on this machine; on another machine, judged by its last beat."""
        if process_id in self._listed and time.monotonic() - self._listed_s < TRUSTED_S and self._judge(process_id):
            return True
        if process_id != self.id:
            self._list()
        return self._judge(process_id)

    def is_killed(self, process_id: str) -> bool:
        """Whether a process is dead and did not end by itself: it left its heartbeat."""
        return not self.is_alive(process_id) and process_id in self._listed

    def _judge(self, process_id: str) -> bool:
        return super().is_alive(process_id)

    def _list(self) -> None:
        self._listed_s = time.monotonic()
        found = self._store.list(FOLDER)
        self._listed = {name.removesuffix(".json"): info for name, info in found.items() if name.endswith(".json")}

    def _ids(self) -> set[str]:
        self._list()
        return set(self._listed)

    def _read(self, process_id: str) -> tuple[bytes, float] | None:
        info = self._listed.get(process_id)
        if info is None:
            return None
        if process_id not in self._contents:
            # Only a process on this machine can be looked up by its number; its id begins with the machine's name.
            here = process_id.rsplit("-", 2)[0] == self.id.rsplit("-", 2)[0]
            content = self._store.read(_name_of(process_id)) if here else b""
            if content is None:
                return None
            self._contents[process_id] = content
        return self._contents[process_id], info.changed_s or 0.0

    def _remove(self, process_id: str) -> None:
        self._store.remove(_name_of(process_id))
        self._listed.pop(process_id, None)

    def _drop_parts(self) -> None:
        """There are none: objects appear whole."""

    def _renew(self) -> float:
        self._store.write(_name_of(self.id), self._content().encode())
        info = self._store.info(_name_of(self.id))
        if info is None or info.changed_s is None:
            raise MediaError(str(self._store.base), "tells no times of its objects, by which processes are judged")
        self._renewed_s = info.changed_s, time.monotonic()
        return info.changed_s

    def _has_lease(self, touched_s: float) -> bool:
        changed_s, at_s = self._renewed_s
        now_s = changed_s + time.monotonic() - at_s
        return now_s - max(touched_s, self._resumed_s) <= self._lease_s


def _name_of(process_id: str) -> str:
    return f"{FOLDER}/{process_id}.json"
