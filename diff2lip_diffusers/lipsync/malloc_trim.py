"""Memory that was freed, given back to the system."""

import ctypes
from contextlib import suppress


def trim_heap() -> None:
    """Gives back what the C library keeps of freed memory, where it can be asked to (glibc); takes some 30 ms.

    It keeps a heap for each thread, and with buffers of changing sizes those grow for minutes.
    """
    with suppress(AttributeError, OSError, TypeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
