"""Progress for programs: one JSON object a line on standard output."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import Diff2LipError

# At most so many lines a second while frames are painted.
LINES_PER_S = 5


class ProgressLines:
    """Prints what a job does; see docs/programs.md for the fields.

    Args:
        is_on: whether anything is printed.
    """

    def __init__(self, is_on: bool):
        self.is_on = is_on
        self._begun_s: float | None = None
        self._printed_s = 0.0

    def stage(self, name: str) -> None:
        """A stage begins."""
        self._print("stage", stage=name)

    def frames(self, done: int, expected: int | None) -> None:
        """Frames were painted."""
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        if done != expected and now_s - self._printed_s < 1 / LINES_PER_S:
            return
        self._printed_s = now_s
        seconds = now_s - self._begun_s
        left_s = None if expected is None or done < 2 else seconds / (done - 1) * max(0, expected - done)
        self._print("progress", done=done, expected=expected, left_s=None if left_s is None else round(left_s, 1))

    def result(self, **numbers: Any) -> None:
        """The output is there."""
        self._print("result", **numbers)

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Prints the error that ends the block, and raises it again."""
        try:
            yield
        except KeyboardInterrupt:
            self._print("error", kind="interrupted", message="interrupted")
            raise
        except (Diff2LipError, ValueError, OSError, MemoryError) as error:
            self._print("error", kind=type(error).__name__, message=" ".join(str(error).split()))
            raise

    def _print(self, event: str, **fields: Any) -> None:
        if self.is_on:
            print(json.dumps({"event": event, **fields}), flush=True, file=sys.stdout)
