"""What a live engine refuses: more sessions than it carries, more speech than it keeps."""

from ..errors import Diff2LipError


class SessionRefusedError(Diff2LipError):
    """A session more than the machine carries.

    Attributes:
        capacity: how many sessions it carries; 0 if none.
    """

    def __init__(self, capacity: int, fps: float):
        self.capacity = capacity
        if capacity:
            sessions = "1 session" if capacity == 1 else f"{capacity} sessions"
            reason = f"this machine carries {sessions} at {fps:g} frames/s, all in use; close one, or lower `fps`"
        else:
            reason = f"this machine does not keep {fps:g} frames/s even for one session; lower `fps` or the steps"
        super().__init__(f"session refused: {reason}")


class QueueFullError(Diff2LipError):
    """Speech that waits to be spoken fills the queue.

    Attributes:
        queued_s: speech that waits, in seconds.
        max_queue_s: the most that may wait.
    """

    def __init__(self, queued_s: float, max_queue_s: float):
        self.queued_s, self.max_queue_s = queued_s, max_queue_s
        super().__init__(
            f"speech refused: {queued_s:.1f} s wait to be spoken, and {max_queue_s:g} s are the limit; push later"
        )
