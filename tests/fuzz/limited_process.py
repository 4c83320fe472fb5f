"""Runs a function in a process of its own, forked from this one, with limits on memory and time.

The limit on time does not count how long a thread stood in line for a core: on a busy machine that is no fault of the
program. A process that waits for something that never comes does not stand in line, so its time counts in full.
"""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# Beyond what is needed so far. Above the limit on resident memory, so that a case that takes too much is measured.
ADDRESS_SPACE = 6 << 30
LARGEST_FILE = 1 << 30
# After so many times its limit a process is killed, however long it stood in line.
MOST_LIMITS = 20
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        exit_code: 128 and the signal's number for a process that a signal ended.
        seconds: how long it took.
        is_overdue: whether it was killed because it took too long.
        cpu_s: how long it computed.
        peak_bytes: the most memory that it held.
        errors: what it wrote to its error stream.
    """

    exit_code: int
    seconds: float
    is_overdue: bool
    cpu_s: float
    peak_bytes: int
    errors: str


@dataclass
class LimitedProcess:
    """A forked process, started at once. Everything that is loaded here is loaded there.

    Args:
        run: returns the exit code.
        folder: its working folder, with `stdout` and `stderr`.
        limit_s: after so many seconds, without those in line for a core, it is killed.
    """

    run: Callable[[], int]
    folder: Path
    limit_s: float

    def __post_init__(self):
        self._started = time.monotonic()
        self._next_look_s, self._is_overdue = self.limit_s, False
        sys.stdout.flush()
        sys.stderr.flush()
        self.process_id = os.fork()
        if self.process_id == 0:
            self._child()

    def _child(self) -> None:
        exit_code = 1
        try:
            os.setsid()
            os.chdir(self.folder)
            for number in (1, 2):
                name = ("stdout", "stderr")[number - 1]
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
            space = _address_space() + ADDRESS_SPACE
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
            exit_code = self.run()
        except SystemExit as end:
            exit_code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(exit_code)

    def ended(self) -> Ended | None:
        """How it ended; None while it runs. Kills it once its time is over."""
        seconds = time.monotonic() - self._started
        if seconds > self._next_look_s and not self._is_overdue:
            self._next_look_s = seconds + LOOK_EVERY_S
            in_line_s = min(longest_in_line_s(self.process_id), (1 - 1 / MOST_LIMITS) * seconds)
            self._is_overdue = seconds - in_line_s > self.limit_s
        if self._is_overdue:
            os.killpg(self.process_id, signal.SIGKILL)
        done, status, usage = os.wait4(self.process_id, os.WNOHANG)
        if not done:
            return None
        code = os.waitstatus_to_exitcode(status)
        errors = (self.folder / "stderr").read_text(errors="replace") if (self.folder / "stderr").exists() else ""
        seconds = time.monotonic() - self._started
        cpu_s = usage.ru_utime + usage.ru_stime
        code = 128 - code if code < 0 else code
        return Ended(code, seconds, self._is_overdue, cpu_s, usage.ru_maxrss * 1024, errors)


def longest_in_line_s(session: int) -> float:
    """How long that thread of a session stood in line for a core that did so longest, as Linux counts it."""
    longest_ns = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[3] == str(session):
                counts = [path.read_text().split() for path in stat.parent.glob("task/*/schedstat")]
                longest_ns = max(longest_ns, *(int(count[1]) for count in counts))
    return longest_ns / 1e9


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
