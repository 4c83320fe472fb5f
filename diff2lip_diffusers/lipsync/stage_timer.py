"""Seconds of work that a job takes, by stage."""

import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class StageTimer:
    """Seconds by stage. A stage inside another one pauses the outer one's clock; each thread has its own clock.

    Attributes:
        seconds: so far, by the stage's name.
    """

    def __init__(self):
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._of_thread = threading.local()
        self._adding = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time of the block."""
        outer = getattr(self._of_thread, "name", None)
        self._switch_to(name)
        try:
            yield
        finally:
            self._switch_to(outer)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds that were measured elsewhere."""
        with self._adding:
            self.seconds[name] += seconds

    def each(self, name: str, items: Iterable[Item]) -> Generator[Item, None, None]:
        """Yields the items; counts the time of making them."""
        source = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item

    def _switch_to(self, name: str | None) -> None:
        now, of_thread = time.perf_counter(), self._of_thread
        running = getattr(of_thread, "name", None)
        if running is not None:
            self.add(running, now - of_thread.since)
        of_thread.name, of_thread.since = name, now
