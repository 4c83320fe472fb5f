"""Objects below one URL, through fsspec: each is read and written whole, with retries, and errors are one line."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from .failures import StoreError, already_exists, cause_of_missing, concerns_store, is_transient, reason_of
from .public_http import session_of_public_hosts
from .urls import Url

TRIES = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0
# Where the libraries of the stores look for credentials.
_CREDENTIALS = ("AWS_", "GOOGLE_", "GCSFS_", "AZURE_", "HF_", "FSSPEC_")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ObjectInfo:
    """What a store tells of an object.

    Args:
        size: in bytes; None if the store does not tell.
        changed_s: when it was written, by the store's clock in seconds since 1970; None if the store does not tell.
        version: differs between versions of the object.
    """

    size: int | None
    changed_s: float | None
    version: str


class ObjectStore:
    """The objects below a URL. Several threads may use it, and processes that were forked.

    Args:
        base: the URL that all names are relative to.
        tries: how often a request is sent until it fails for good, with growing pauses.

    Raises:
        StoreError: from all methods, in one line that names the object: it cannot be read or written. Also at once, if
            the library for the store is not installed.
    """

    def __init__(self, base: Url, tries: int = TRIES):
        self.base, self._tries = base, tries
        self._filesystem()

    def read(self, name: str) -> bytes | None:
        """The content of an object; None if there is none."""
        path = self._path_of(name)
        try:
            return self._ask(name, lambda files: bytes(files.cat_file(path)))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Writes an object; a reader sees the old one or the whole new one."""
        path = self._path_of(name)
        self._ask(name, lambda files: files.pipe_file(path, content))

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object if there is none; returns whether it did, or may have.

        If an answer gets lost, it returns False although the object is there: whoever must know reads it.
        """
        path = self._path_of(name)
        try:
            self._ask(name, lambda files: files.pipe_file(path, content, mode="create"))
        except FileExistsError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Removes an object, if there is one."""
        path = self._path_of(name)
        try:
            self._ask(name, lambda files: files.rm_file(path))
        except FileNotFoundError:
            return

    def info(self, name: str = "") -> ObjectInfo | None:
        """What the store tells of an object; None if there is none, or if it is a prefix of others."""
        path = self._path_of(name)
        try:
            found = self._ask(name, lambda files: files.info(path))
        except FileNotFoundError:
            return None
        return None if found.get("type") == "directory" else _info_of(found)

    def list(self, folder: str = "", deep: bool = False) -> dict[str, ObjectInfo]:
        """The objects in a folder, by their names in it; none if there is no such folder.

        Args:
            folder: name of the folder.
            deep: whether to list the folders in it, too.
        """
        path = self._path_of(folder).rstrip("/")

        def ask(files: Any) -> list[dict]:
            if deep:
                return list(files.find(path, detail=True).values())
            return files.ls(path, detail=True)

        try:
            found = self._ask(folder, ask)
        except FileNotFoundError:
            return {}
        start = f"{self._filesystem()._strip_protocol(path).rstrip('/')}/"
        entries = ((self._name_in(entry), entry) for entry in found if entry.get("type") != "directory")
        return {
            name[len(start) :]: _info_of(entry) for name, entry in entries if name.startswith(start) and name != start
        }

    def download(self, name: str, target: Path) -> int:
        """Writes an object into a local file and returns its size in bytes.

        Raises:
            FileNotFoundError: if there is no such object.
        """
        path = self._path_of(name)
        self._ask(name, lambda files: files.get_file(path, str(target)))
        return target.stat().st_size

    def upload(self, source: Path, name: str) -> None:
        """Writes a local file as an object, which appears when it is complete."""
        path = self._path_of(name)
        self._ask(name, lambda files: files.put_file(str(source), path))

    def _path_of(self, name: str) -> str:
        return (self.base / name).full if name else self.base.full

    def _name_in(self, entry: dict) -> str:
        return str(self._filesystem()._strip_protocol(entry["name"]))

    def _ask(self, name: str, request: Callable[[Any], Answer]) -> Answer:
        """Sends a request, again and again if it fails for a reason that may pass."""
        wait_s = FIRST_WAIT_S
        for left in reversed(range(self._tries)):
            try:
                return request(self._filesystem())
            except Exception as given:
                error = cause_of_missing(given) if isinstance(given, FileNotFoundError) else given
                if error is None:
                    raise
                if already_exists(error):
                    raise FileExistsError(str(self.base / name)) from None
                if not left or not is_transient(error):
                    raise self._failure(name, error) from None
            time.sleep(wait_s * random.uniform(0.5, 1))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise AssertionError("unreachable")

    def _failure(self, name: str, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        concerns_all = not self.base.is_web and concerns_store(error)
        return StoreError(str(self.base / name if name else self.base), reason_of(error), concerns_all)

    def _filesystem(self) -> Any:
        """The filesystem of this process, for the credentials that the environment has now."""
        try:
            return _filesystem_of(self.base.protocol, self.base.is_web, os.getpid(), _credentials())
        except ImportError as error:
            cure = "pip install 'diff2lip-diffusers[stores]'"
            if self.base.protocol in ("gs", "gcs", "az", "abfs", "abfss"):
                cure = f"pip install {'gcsfs' if self.base.protocol[0] == 'g' else 'adlfs'}"
            raise StoreError(str(self.base), f"the library for {self.base.protocol}:// is missing; {cure}") from error


@cache
def _filesystem_of(protocol: str, is_web: bool, process: int, credentials: int) -> Any:
    """A new filesystem for each process, as connections do not survive a fork, and for each set of credentials.

    fsspec itself would keep that of the first credentials.
    """
    options = {"get_client": session_of_public_hosts} if is_web else {"use_listings_cache": False}
    return fsspec.filesystem(protocol, skip_instance_cache=True, **options)


def _credentials() -> int:
    """A number that changes with the variables that hold or lead to credentials."""
    return hash(tuple(sorted(item for item in os.environ.items() if item[0].startswith(_CREDENTIALS))))


def _info_of(entry: dict) -> ObjectInfo:
    """What a store tells, whose libraries use different names."""
    size = entry.get("size")
    changed = next(
        (entry[key] for key in ("LastModified", "updated", "last_modified", "mtime") if entry.get(key)), None
    )
    version = next((entry[key] for key in ("ETag", "etag", "generation", "blob_id") if entry.get(key)), None)
    changed_s = _seconds_of(changed)
    return ObjectInfo(size if isinstance(size, int) else None, changed_s, str(version or changed_s or ""))


def _seconds_of(moment: Any) -> float | None:
    if isinstance(moment, datetime):
        return moment.timestamp()
    if isinstance(moment, (int, float)):
        return float(moment)
    try:
        return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
    except (AttributeError, ValueError):
        pass
    try:
        return parsedate_to_datetime(moment).timestamp()
    except (TypeError, ValueError):
        return None
