"""Work in parallel threads: one reads ahead, one consumes behind; both are bounded and keep the order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

_END = object()

Item = TypeVar("Item")


def prefetch(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """Yields the items, made in another thread, up to `depth` of them before they are needed.

    What making them raises is raised here. If the caller stops early, the thread ends after its current item.
    """
    source = iter(items)
    worker = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting = deque(worker.submit(_next, source) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(worker.submit(_next, source))
            yield item
    finally:
        worker.shutdown(cancel_futures=True)
        if isinstance(source, Generator):
            source.close()


def _next(source: Iterator[Any]) -> Any:
    return next(source, _END)


class Cancelled(BaseException):
    """Raised by the items of a [`WriteBehind`]'s consumer when the caller's block raised."""


class WriteBehind(Generic[Item]):
    """Hands items to a consumer in another thread, in order, while the caller continues.

    A context manager. Its end waits until the consumer has taken all items; if the block raised, the consumer's items
    raise [`Cancelled`] instead, and those that wait are dropped.

    Args:
        consume: takes an iterator over the items; what it returns is dropped.
        depth: how many items may wait.
    """

    def __init__(self, consume: Callable[[Iterator[Item]], object], depth: int):
        self._consume = consume
        self._waiting: queue.Queue[Any] = queue.Queue(depth)
        self._cancelled = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="behind")

    def __enter__(self) -> "WriteBehind[Item]":
        self._thread.start()
        return self

    def __call__(self, item: Item) -> None:
        """Hands over an item; raises what the consumer raised on an earlier one."""
        self._waiting.put(item)
        if self._error is not None:
            raise self._error

    def __exit__(self, error_type, error, traceback) -> None:
        self._cancelled = error_type is not None
        self._waiting.put(_END)
        self._thread.join()
        if self._error is not None and error_type is None:
            raise self._error

    def _run(self) -> None:
        items = iter(self._waiting.get, _END)
        try:
            self._consume(self._until_cancelled(items))
        except Cancelled:
            pass
        except BaseException as error:
            self._error = error
        for _ in items:  # nobody needs them any more, but the caller must not wait for room
            pass

    def _until_cancelled(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            if self._cancelled:
                raise Cancelled
            yield item
        if self._cancelled:
            raise Cancelled
