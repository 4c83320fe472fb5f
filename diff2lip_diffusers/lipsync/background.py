"""Stages that run beside each other: one thread reads ahead, one works behind, both bounded and in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

_END = object()


def prefetch(items: Iterable, depth: int) -> Iterator:
    """The items, made in a thread of their own, up to `depth` of them before they are asked for.

    What making them raises is raised here. When the caller stops early, the thread ends after the item it is at.
    """
    items = iter(items)
    worker = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting = deque(worker.submit(next, items, _END) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(worker.submit(next, items, _END))
            yield item
    finally:
        worker.shutdown(cancel_futures=True)
        if hasattr(items, "close"):
            items.close()


class WriteBehind:
    """Calls a function in a thread of its own, in order, while the caller goes on.

    A context manager: leaving it waits for all calls, or drops the waiting ones where the block raised.

    Args:
        function: what to call; its results are dropped.
        depth: how many calls may wait.
    """

    def __init__(self, function: Callable, depth: int):
        self._function, self._depth = function, depth
        self._waiting: deque[Future] = deque()

    def __enter__(self) -> "WriteBehind":
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="behind")
        return self

    def __call__(self, *arguments) -> None:
        """Calls the function soon; raises what an earlier call raised."""
        self._waiting.append(self._worker.submit(self._function, *arguments))
        while len(self._waiting) > self._depth:
            self._waiting.popleft().result()

    def __exit__(self, error_type, error, traceback) -> None:
        try:
            while error_type is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._worker.shutdown(cancel_futures=True)
