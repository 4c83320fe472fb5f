"""Where the time of a job goes."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class StageTimer:
    """Adds up seconds by stage. A stage inside another one stops the outer one's clock; each thread has its own.

    Attributes:
        seconds: spent so far, by the stage's name.
    """

    def __init__(self):
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._of_thread = threading.local()
        self._adding = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts what the block takes."""
        outer = getattr(self._of_thread, "name", None)
        self._switch_to(name)
        try:
            yield
        finally:
            self._switch_to(outer)

    def add(self, name: str, seconds: float) -> None:
        """Counts seconds that were measured elsewhere."""
        with self._adding:
            self.seconds[name] += seconds

    def each(self, name: str, items: Iterable) -> Iterator:
        """The items; counts what making them takes."""
        items = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def _switch_to(self, name: str | None) -> None:
        now, of_thread = time.perf_counter(), self._of_thread
        running = getattr(of_thread, "name", None)
        if running is not None:
            self.add(running, now - of_thread.since)
        of_thread.name, of_thread.since = name, now
