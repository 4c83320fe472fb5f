"""The files of all people on the page: in one folder, under names that nobody can guess, deleted when they are old."""

import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..errors import Diff2LipError
from ..lipsync.malloc_trim import trim_heap

logger = logging.getLogger(__name__)

JOBS_NAME = "jobs"
TOKEN_BYTES = 16
MAX_SWEEP_PAUSE_S = 60


class TemporaryFiles:
    """A new folder for everything that people upload and get.

    Whoever knows the path of a file can fetch it, so the folder of each job has a random name of 128 bits, which only
    the person with the job learns.

    Args:
        keep_s: age in seconds at which files are deleted.
        parent: where the folder is made; by default the system's folder for temporary files.

    Attributes:
        folder: what the server may serve. Gradio puts uploads into it.
    """

    def __init__(self, keep_s: float, parent: Path | None = None):
        self.keep_s = keep_s
        self.folder = Path(tempfile.mkdtemp(prefix="diff2lip-app-", dir=parent)).resolve()
        self._jobs = self.folder / JOBS_NAME
        self._jobs.mkdir()
        self._in_use: set[Path] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_regularly, name="diff2lip-app-files", daemon=True)
        self._sweeper.start()

    def new_job_folder(self) -> Path:
        """Makes a folder for a job, which is not deleted before it is released."""
        folder = self._jobs / secrets.token_hex(TOKEN_BYTES)
        with self._lock:
            folder.mkdir(mode=0o700)
            self._in_use.add(folder)
        return folder

    def release(self, folder: Path, keep: bool) -> None:
        """Ends the use of the folder of a job: its time runs from now on, or it is deleted at once."""
        with self._lock:
            self._in_use.discard(folder)
        if keep:
            os.utime(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def check_upload(self, path: str) -> None:
        """Makes sure that a path, which came from a browser, is that of an upload.

        Raises:
            Diff2LipError: if it is not, or was deleted.
        """
        real = Path(path).resolve()
        if not real.is_relative_to(self.folder) or not real.is_file():
            raise Diff2LipError("The file is gone; upload it again.")

    def size_bytes(self) -> int:
        """How much the files take."""
        return sum(_size(path) for path in _tree(self.folder))

    def sweep(self, now_s: float | None = None) -> None:
        """Deletes what is too old.

        Args:
            now_s: time of day, in seconds as `time.time()` counts; for tests.
        """
        oldest_s = (time.time() if now_s is None else now_s) - self.keep_s
        with self._lock:
            for path in [*_entries(self.folder), *_entries(self._jobs)]:
                if path in (self._jobs, *self._in_use) or _changed_s(path) > oldest_s:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Deletes everything."""
        self._closed.set()
        self._sweeper.join()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep_regularly(self) -> None:
        while not self._closed.wait(min(self.keep_s / 4, MAX_SWEEP_PAUSE_S)):
            try:
                self.sweep()
            except OSError:
                logger.exception("old files could not be deleted")
            trim_heap()  # what served requests held goes back to the system as well


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return list(folder.iterdir())
    return []


def _tree(path: Path) -> Iterator[Path]:
    yield path
    with suppress(OSError):  # deleted meanwhile
        yield from path.rglob("*")


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def _changed_s(path: Path) -> float:
    """When a file came, or when something in a folder changed.

    A copied file keeps its old `mtime`; that of its folder tells when it came. The `ctime` of a file in a folder does
    not count: it also changes when another link to the file goes, as jobs with the same upload have.
    """
    newest = 0.0
    for each in _tree(path):
        with suppress(OSError):
            found = each.stat()
            newest = max(newest, found.st_mtime, found.st_ctime if each == path or each.is_dir() else 0.0)
    return newest
