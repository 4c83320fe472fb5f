import ctypes
import sys

import numpy as np
import pytest

from diff2lip_diffusers.lipsync import malloc_trim
from diff2lip_diffusers.lipsync.malloc_trim import trim_heap


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc"
)
def test_freed_memory_is_given_back():
    blocks = [np.ones(12_000) for _ in range(2000)]  # 96 kB each: from the heap, not from a mapping of their own
    del blocks[:-1]  # the last one keeps the heap from shrinking by itself
    before = resident_mb()
    trim_heap()
    assert resident_mb() < before - 100


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(malloc_trim.ctypes, "CDLL", lambda _: object())
    trim_heap()
