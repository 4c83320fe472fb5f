"""Clocks: the time of the machine, or one that a test moves on by hand."""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time in seconds from any start; it never goes back."""

    def now(self) -> float:
        """The time in seconds."""
        ...


class MonotonicClock:
    """The time of the machine."""

    def now(self) -> float:
        """The time in seconds."""
        return time.monotonic()


class ManualClock:
    """A time that only `advance` moves: hours of speech pass without waiting."""

    def __init__(self):
        self._now = 0.0

    def now(self) -> float:
        """The time in seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Moves the time on."""
        self._now += seconds
