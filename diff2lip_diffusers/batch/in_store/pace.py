"""How often a process looks around in an object store."""

import time

# Looking around takes at most this part of the time, however many processes and pairs there are.
LOOKING_PART = 0.02
SHORTEST_S = 1.0


class Pace:
    """Says when to look again: the slower the store answers, the later.

    A process looks around to skip what others do or have done. It may be wrong for a while: what it takes is checked.
    """

    def __init__(self):
        self._due_s = 0.0
        self._started_s = 0.0

    def is_due(self) -> bool:
        """Whether to look; if so, the time of the answer counts from now."""
        self._started_s = time.monotonic()
        return self._started_s >= self._due_s

    def looked(self) -> None:
        """Tells that the answer is there."""
        now_s = time.monotonic()
        self._due_s = now_s + max(SHORTEST_S, (now_s - self._started_s) / LOOKING_PART)
