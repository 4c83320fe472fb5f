"""Remote inputs as local files, and local outputs as remote ones."""

import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ..errors import Diff2LipError, MediaError
from ..output_paths import VIDEO_SUFFIXES, hidden_folder_beside, writing
from .input_cache import HeldInputs, InputCache
from .object_store import ObjectInfo, ObjectStore
from .urls import Url

DEFAULT_CACHE_GB = 20
# A store answers slowly, but many requests at a time.
THREADS = 16
# From so many files in one folder on, listing it takes fewer requests than asking for each.
LISTED_FILES = 8


class RemoteFiles:
    """Reads inputs and writes outputs that have URLs.

    Args:
        cache_dir: folder for copies of inputs and for unfinished outputs; by default the user's cache folder.
        cache_gb: the most that the copies take, in 10^9 bytes.
        allow_remote: whether inputs may come from the web, http and https.
    """

    def __init__(
        self, cache_dir: str | Path | None = None, cache_gb: float = DEFAULT_CACHE_GB, allow_remote: bool = False
    ):
        self.folder = Path(cache_dir) if cache_dir is not None else _default_cache_dir()
        self._allow_remote = allow_remote
        self._cache = InputCache(self.folder / "inputs", int(cache_gb * 1e9), self._download)

    def hold(self, urls: Iterable[Url]) -> HeldInputs:
        """Local copies of inputs, which stay until they are closed.

        Raises:
            MediaError: one cannot be read, all of them do not fit into the cache, or it cannot be written.
        """
        return self._cache.hold({url: self._info_of(url) for url in dict.fromkeys(urls)})

    def sizes(self, urls: Iterable[Url]) -> dict[Url, tuple[int, str]]:
        """The size in bytes of each input, and in one line why it cannot be read, or ""."""
        by_folder: dict[Url, list[Url]] = defaultdict(list)
        for url in dict.fromkeys(urls):
            by_folder[url if url.is_web else url.parent].append(url)
        with ThreadPoolExecutor(THREADS, thread_name_prefix="inspect") as threads:
            found = threads.map(lambda item: self._sizes_in(*item), by_folder.items())
            return {url: size for sizes in found for url, size in sizes.items()}

    @contextmanager
    def output(self, url: Url) -> Iterator[Path]:
        """Gives a path in a new local folder; what is written there becomes the object when the block ends.

        Errors of the block name the URL.

        Raises:
            MediaError: the object or the local folder cannot be written.
        """
        with self.work_folder() as folder, naming_urls({url: folder / url.name}):
            made = folder / url.name
            yield made
            ObjectStore(url).upload(made, "")

    def check_output(self, url: Url) -> None:
        """Checks before the work that a video can be written there.

        Raises:
            MediaError: it cannot.
        """
        if url.is_web:
            raise MediaError(str(url), "outputs cannot be written to the web; use s3://, gs://, az:// or hf://")
        if url.suffix.lower() not in VIDEO_SUFFIXES:
            raise MediaError(str(url), f"does not name a video; end it in {', '.join(VIDEO_SUFFIXES)}")
        if url.keeps_state:
            store, name = ObjectStore(url.parent), f".{secrets.token_hex(8)}.part"
            store.write(name, b"")
            store.remove(name)

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """A local folder that is removed after the block; those of killed processes are removed as well.

        Raises:
            MediaError: it cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = hidden_folder_beside(self.folder / "outputs")
        with folder as name:
            yield Path(name)

    def _info_of(self, url: Url) -> ObjectInfo:
        self._check_allowed(url)
        info = ObjectStore(url).info()
        if info is None:
            raise MediaError(str(url), "does not exist, or is a folder; check the URL")
        if info.size == 0:
            raise MediaError(str(url), "is empty (0 bytes); upload it again")
        return info

    def _sizes_in(self, folder: Url, urls: list[Url]) -> dict[Url, tuple[int, str]]:
        if len(urls) >= LISTED_FILES:
            try:
                found = ObjectStore(folder).list()
            except MediaError as error:
                return {url: (0, str(error)) for url in urls}
            missing = "does not exist; check the URL"
            infos = {url: found.get(url.full.rpartition("/")[2]) for url in urls}
            return {url: (info.size or 0, "") if info else (0, f"{url}: {missing}") for url, info in infos.items()}
        return {url: self._size_of(url) for url in urls}

    def _size_of(self, url: Url) -> tuple[int, str]:
        try:
            return self._info_of(url).size or 0, ""
        except MediaError as error:
            return 0, str(error)

    def _download(self, url: Url, target: Path) -> int:
        self._check_allowed(url)
        try:
            return ObjectStore(url).download("", target)
        except FileNotFoundError as error:
            raise MediaError(str(url), "does not exist any more; check the URL") from error

    def _check_allowed(self, url: Url) -> None:
        if url.is_web and not self._allow_remote:
            raise MediaError(str(url), "is on the web, where anybody may have put it; allow that by --allow-remote")


@contextmanager
def naming_urls(paths: Mapping[Url, Path]) -> Iterator[None]:
    """Lets errors of the block name the URLs of files instead of their local copies."""
    try:
        yield
    except Diff2LipError as error:
        name_urls(error, paths)
        raise


def name_urls(error: Exception, paths: Mapping[Url, Path]) -> None:
    """Lets an error name the URLs of files instead of their local copies."""
    if isinstance(error, Diff2LipError) and error.args and isinstance(error.args[0], str):
        text = error.args[0]
        for url, path in paths.items():
            text = text.replace(str(path), str(url))
        error.args = (text, *error.args[1:])


def _default_cache_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diff2lip"
