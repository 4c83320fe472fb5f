"""Work in parallel threads: one reads ahead, one consumes behind; both are bounded and keep the order."""

import math
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

_END = object()

Item = TypeVar("Item")


class Room:
    """How much memory the items take that wait between two threads, and when there is room for one more.

    Args:
        size_of: returns the bytes of an item.
        most: bytes that may wait. One item may always wait, however large it is.
    """

    def __init__(self, size_of: Callable[[Any], float] = lambda _: 0, most: float = math.inf):
        self._size_of, self._most = size_of, most
        self._held = self._last = 0.0
        self._is_open = False
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Returns once another item as large as the last one fits in."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or not self._held or self._held + self._last <= self._most)

    def add(self, item: Any) -> None:
        """Counts an item that waits from now on."""
        with self._changed:
            self._last = self._size_of(item)
            self._held += self._last

    def remove(self, item: Any) -> None:
        """Counts an item that waits no longer."""
        with self._changed:
            self._held -= self._size_of(item)
            self._changed.notify_all()

    def open(self) -> None:
        """From now on there is always room."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def prefetch(
    items: Iterable[Item], depth: int, room: Room | None = None, stop: Callable[[], object] = lambda: None
) -> Generator[Item, None, None]:
    """Yields the items, made in another thread, up to `depth` of them before they are needed.

    What making them raises is raised here. If the caller stops early, the thread ends after its current item.

    Args:
        items: the items.
        depth: how many may wait.
        room: bounds their memory; by default it has no bounds.
        stop: called when no more items are needed, so that one that takes long can be given up.
    """
    source, room = iter(items), room or Room()
    worker = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting = deque(worker.submit(_next, source, room) for _ in range(depth))
        while (item := waiting.popleft().result()) is not _END:
            room.remove(item)
            waiting.append(worker.submit(_next, source, room))
            yield item
    finally:
        stop()
        room.open()
        worker.shutdown(cancel_futures=True)
        if isinstance(source, Generator):
            source.close()


def _next(source: Iterator[Any], room: Room) -> Any:
    room.wait()
    item = next(source, _END)
    if item is not _END:
        room.add(item)
    return item


class Cancelled(BaseException):
    """Raised by the items of a [`WriteBehind`]'s consumer when the caller's block raised."""


class WriteBehind(Generic[Item]):
    """Hands items to a consumer in another thread, in order, while the caller continues.

    A context manager. Its end waits until the consumer has taken all items; if the block raised, the consumer's items
    raise [`Cancelled`] instead, and those that wait are dropped.

    Args:
        consume: takes an iterator over the items; what it returns is dropped.
        depth: how many items may wait.
        room: bounds their memory, and that of the item in the consumer's hands; by default it has no bounds.
    """

    def __init__(self, consume: Callable[[Iterator[Item]], object], depth: int, room: Room | None = None):
        self._consume, self._room = consume, room or Room()
        self._waiting: queue.Queue[Any] = queue.Queue(depth)
        self._cancelled = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="behind")

    def __enter__(self) -> "WriteBehind[Item]":
        self._thread.start()
        return self

    def __call__(self, item: Item) -> None:
        """Hands over an item; raises what the consumer raised on an earlier one."""
        self._room.wait()
        self._room.add(item)
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
        items = self._taken()
        try:
            self._consume(self._until_cancelled(items))
        except Cancelled:
            pass
        except BaseException as error:
            self._error = error
        for _ in items:  # nobody needs them any more, but the caller must not wait for room
            pass

    def _taken(self) -> Iterator[Item]:
        for item in iter(self._waiting.get, _END):
            yield item
            self._room.remove(item)  # it took memory until now

    def _until_cancelled(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            if self._cancelled:
                raise Cancelled
            yield item
        if self._cancelled:
            raise Cancelled
