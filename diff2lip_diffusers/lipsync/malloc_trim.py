"""Returns freed memory to the system."""

import ctypes
from contextlib import suppress


def trim_heap() -> None:
    """Returns the freed memory that the C library keeps, where it can be asked to (glibc); takes some 30 ms.

    The library keeps a heap for each thread, and with buffers of changing sizes these grow for minutes.
    """
    with suppress(AttributeError, OSError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
