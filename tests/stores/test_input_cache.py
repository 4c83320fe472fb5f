import multiprocessing
import os
import signal
import threading
import time

import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.stores.input_cache import InputCache
from diff2lip_diffusers.stores.object_store import ObjectInfo
from diff2lip_diffusers.stores.urls import Url

URLS = [Url(f"s3://bucket/{name}.mp4") for name in "abcde"]


def info(size: int, version: str = "1") -> ObjectInfo:
    return ObjectInfo(size, None, version)


class Store:
    """Objects of which each byte is their size; remembers what was downloaded."""

    def __init__(self, folder, limit=100):
        self.fetched: list[str] = []
        self.sizes = dict.fromkeys(URLS, 40)
        self.cache = InputCache(folder, limit, self.download)

    def download(self, url, target):
        self.fetched.append(url.name)
        target.write_bytes(bytes([self.sizes[url]]) * self.sizes[url])
        return self.sizes[url]

    def hold(self, *urls, version="1"):
        return self.cache.hold({url: info(self.sizes[url], version) for url in urls})


def used(folder) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/[!.]*"))


def test_a_file_is_downloaded_once(tmp_path):
    store = Store(tmp_path)
    with store.hold(URLS[0]) as held, store.hold(URLS[0]) as again:
        assert held.paths == again.paths
        assert held.paths[URLS[0]].read_bytes() == bytes([40]) * 40
        assert held.paths[URLS[0]].name == "a.mp4"
    store.hold(URLS[0]).close()
    assert store.fetched == ["a.mp4"]
    store.hold(URLS[0], version="2").close()
    assert store.fetched == ["a.mp4", "a.mp4"]


def test_what_was_not_read_for_longest_goes_first(tmp_path):
    store = Store(tmp_path)
    for url in URLS[:2]:
        store.hold(url).close()
        time.sleep(0.02)
    store.hold(URLS[0]).close()
    time.sleep(0.02)
    store.hold(URLS[2]).close()
    assert used(tmp_path) == 80
    store.hold(URLS[0]).close()
    assert store.fetched == ["a.mp4", "b.mp4", "c.mp4"]


def test_what_somebody_reads_stays_and_others_wait(tmp_path):
    store = Store(tmp_path)
    held = store.hold(URLS[0], URLS[1])
    waiting = threading.Thread(target=lambda: store.hold(URLS[2], URLS[3]).close())
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive() and used(tmp_path) == 80
    assert all(path.exists() for path in held.paths.values())
    held.close()
    waiting.join(5)
    assert not waiting.is_alive() and used(tmp_path) == 80


def test_files_that_can_never_fit(tmp_path):
    with pytest.raises(
        MediaError, match="takes 1.2e-07 GB, more than the cache may hold .1e-07 GB.; raise --input-cache-gb"
    ):
        Store(tmp_path).hold(*URLS[:3])
    with pytest.raises(MediaError, match="^s3://bucket/a.mp4: its server does not tell its size"):
        Store(tmp_path).cache.hold({URLS[0]: ObjectInfo(None, None, "")})


def test_a_file_that_was_cut_is_not_kept(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(MediaError, match="40 of 41 bytes arrived"):
        store.cache.hold({URLS[0]: info(41)})
    assert used(tmp_path) == 0 and not list(tmp_path.glob("*/"))


def _download_forever(folder):
    store = Store(folder)

    def download(url, target):
        target.write_bytes(b"half")
        (folder / ".begun").touch()
        time.sleep(60)

    store.cache._download = download
    store.hold(URLS[0])


def test_a_killed_download_is_made_again(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_download_forever, args=(tmp_path,))
    process.start()
    while not (tmp_path / ".begun").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    store = Store(tmp_path)
    with store.hold(URLS[0]) as held:
        assert held.paths[URLS[0]].read_bytes() == bytes([40]) * 40
    assert [path.name for path in tmp_path.glob("*/*")].count(".part") == 0
