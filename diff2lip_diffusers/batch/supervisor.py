"""Runs a worker of a batch in a process of its own, and goes on without the pair that kills it.

A pair can end its process: a decoder crashes, or memory runs out. The supervisor sees it, records which pairs the
process had in hand, and starts another process in its place. One pair in hand has failed. Of several, nobody knows
which one it was: they become suspects, which a worker takes last and one at a time.
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..errors import Diff2LipError, MediaError
from ..stores.remote_files import RemoteFiles
from ..stores.urls import Url, located
from .children import begin_child, process_context, started
from .in_store.open_batch import open_batch
from .pair_records import DIED, FAILED
from .process_group import Seat
from .work_queue import ProcessDiedError

# A signal may reach a thread that is not Python's, so the supervisor looks up this often.
LOOK_UP_S = 0.5
# A process that dies between two pairs, or before it takes one, so often in a row would go on to do so.
MAX_IDLE_DEATHS = 3
CAUSES = {
    "SIGKILL": "killed (SIGKILL), as when memory runs out; use fewer processes, or a smaller --batch-size",
    "SIGBUS": "ended by SIGBUS, as when a file shrinks while it is read, or shared memory is full",
}
CRASHED = "crashed ({}); its files may be damaged or crafted: convert them to another format"

Work = Callable[[Any, "Reports"], int]
"""Does the work of one process, from its arguments; returns the exit code."""


class Reports:
    """What a worker tells its supervisor: its place in the group, and which pairs it has in hand.

    Args:
        connection: to the supervisor; None if there is none, which makes all reports do nothing.
        seat: the place of the dead process that this one replaces; None for the first process.
    """

    def __init__(self, connection: Connection | None = None, seat: Seat | None = None):
        self._connection, self.seat = connection, seat

    def joined(self, output_dir: str | Path, process_id: str, seat: Seat) -> None:
        """Tells that this process works on a folder, under that name."""
        self._send("joined", (str(output_dir), process_id, seat))

    def began(self, record: dict) -> None:
        """Tells that this process has a pair in hand; `record` is the one to complete if it dies of it."""
        self._send("began", record)

    def ended(self, output: str) -> None:
        """Tells that this process does not have that pair in hand any more; undoes one `began`."""
        self._send("ended", output)

    def _send(self, kind: str, content: Any) -> None:
        if self._connection is not None:
            with suppress(OSError):  # the supervisor died; this process ends with it
                self._connection.send((kind, content))


@dataclass
class _Watched:
    """What the supervisor knows of its worker."""

    output_dir: str | None = None
    process_id: str = ""
    seat: Seat | None = None
    in_hand: list[dict] = field(default_factory=list)
    has_begun: bool = False

    def note(self, kind: str, content: Any) -> None:
        if kind == "joined":
            self.output_dir, self.process_id, self.seat = content
        elif kind == "began":
            self.in_hand.append(content)
            self.has_begun = True
        else:
            of_output = [record for record in self.in_hand if record["output"] == content]
            self.in_hand.remove(of_output[0])

    def suspects(self) -> dict[str, dict]:
        """The record of each pair in hand, by output."""
        return {record["output"]: record for record in self.in_hand}


def supervise(work: Work, arguments: Any) -> int:
    """Runs a worker until it ends by itself; starts another one in its place as often as it is killed by a pair.

    Args:
        work: what the process does; with `arguments`, picklable.
        arguments: its first argument.

    Returns:
        The exit code of the last process.

    Raises:
        Diff2LipError: if a process dies before it takes a pair, or its death cannot be recorded.
    """
    seat, idle_deaths = None, 0
    while True:
        code, watched, was_told = _run(work, arguments, seat)
        if code >= 0 or was_told:
            return code if code >= 0 else 128 - code
        _record_death(watched, -code)
        idle_deaths = 0 if watched.in_hand else idle_deaths + 1
        seat = watched.seat
        if seat is None or idle_deaths >= MAX_IDLE_DEATHS or (idle_deaths and not watched.has_begun):
            raise Diff2LipError(f"its process was {cause_of(-code)}")


def cause_of(number: int) -> str:
    """Why a signal usually ends a process, in words that follow "was"."""
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return CAUSES.get(name) or CRASHED.format(name)


def _run(work: Work, arguments: Any, seat: Seat | None) -> tuple[int, _Watched, bool]:
    """Runs one process; returns its exit code, negative for a signal, and whether it was told to end."""
    context = process_context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(work, arguments, theirs, seat))
    watched = _Watched()
    with started([process]) as told:
        theirs.close()
        while process.sentinel not in wait([ours, process.sentinel], LOOK_UP_S):
            _note_all(ours, watched)
        _note_all(ours, watched)
        process.join()
    ours.close()
    return process.exitcode or 0, watched, bool(told)


def _note_all(connection: Any, watched: _Watched) -> None:
    with suppress(EOFError, OSError):
        while connection.poll():
            watched.note(*connection.recv())


def _serve(work: Work, arguments: Any, connection: Connection, seat: Seat | None) -> None:
    """Runs in the worker's process."""
    begin_child()
    sys.exit(work(arguments, Reports(connection, seat)))


def _record_death(watched: _Watched, number: int) -> None:
    """Appends what the death of a worker means for the pairs that it had in hand.

    Raises:
        MediaError: if the folder cannot be written.
    """
    suspects = watched.suspects()
    if watched.output_dir is None or not suspects:
        return
    place = located(watched.output_dir)
    journal = open_batch(place, RemoteFiles()).journal(f"{watched.process_id}.supervisor")
    now_s = round(time.time(), 3)
    cause = cause_of(number)
    for output, record in suspects.items():
        ending: dict[str, Any] = {"ended_s": now_s, "process": watched.process_id}
        if len(suspects) == 1:
            error = f"its process was {cause}"
            ending |= {"status": FAILED, "error": error, "error_type": ProcessDiedError.__name__}
            print(f"{output}: {error}; the batch goes on", file=sys.stderr, flush=True)
        else:
            record = {"output": output, "num_suspects": len(suspects)}
            ending |= {"status": DIED}
        try:
            journal.append(record | ending)
        except MediaError:
            if (
                not isinstance(place, Url) and not place.exists()
            ):  # somebody deleted the folder; the next process says so
                return
            raise
    if len(suspects) > 1:
        print(
            f"a process was {cause}; its {len(suspects)} pairs are made again, one at a time",
            file=sys.stderr,
            flush=True,
        )
