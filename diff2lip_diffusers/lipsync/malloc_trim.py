"""Returns freed memory to the system."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # glibc's number
LARGE_BUFFER_BYTES = 1 << 20


def trim_heap() -> None:
    """Returns the freed memory that the C library keeps, where it can be asked to (glibc); takes some 30 ms.

    The library keeps a heap for each thread, and with buffers of changing sizes these grow for minutes.
    """
    with suppress(AttributeError, OSError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def return_large_buffers() -> None:
    """From now on, returns each large buffer to the system when it is freed, where the C library is glibc.

    Otherwise it keeps those below 32 MiB, such as frames, for later, once one of them was freed.
    """
    with suppress(AttributeError, OSError, TypeError):  # no glibc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER_BYTES)
