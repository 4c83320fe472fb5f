"""Which pairs are left to do: shared by all processes through leases and results, with nobody in charge."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from pathlib import Path

from .journal import Journal
from .leases import Leases
from .pairs import Pair

DONE, FAILED = "done", "failed"


class WorkQueue:
    """What one process knows of the work, and its way to get some; may be used by several threads.

    Pairs of one video go to one process as long as the others have something else to do, so that it is decoded once.
    Videos with much to do come first; what went wrong before, or was left by a process that died, comes last.

    Args:
        pairs: all of them.
        sizes: of the files of each pair, by output; what is large takes long.
        existing: tells which of some outputs exist; what was done, but is not there any more, is to be done again.
        leases: of this process.
        log: of all processes.
        tries: how often a pair may fail.
        forgive_until_s: what failed before that time, in seconds since 1970, is tried again as if it had not.
        keep_done: whether to remember the records of what is done, for `records`; takes 1 KB each.

    Raises:
        MediaError: if the folder cannot be read or written; also from the methods.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        sizes: Mapping[str, int],
        existing: Callable[[Iterable[str]], Set[str]],
        leases: Leases,
        log: Journal,
        tries: int,
        forgive_until_s: float = 0,
        keep_done: bool = True,
    ):
        self._claims, self._log, self._tries = leases, log, tries
        self._lock = threading.RLock()
        self._keep_done = keep_done
        self._records: dict[str, bytes] = {}
        self._failures: Counter[str] = Counter()
        self._open = {pair.output: pair for pair in pairs}
        self._done: set[str] = set()
        self._failed: set[str] = set()
        self._count = len(pairs)
        self._video: Path | None = None
        left_over = leases.left_over()
        self._fresh = _by_video((pair for pair in pairs if pair.output not in left_over), sizes)
        self._again = _by_video((pair for pair in pairs if pair.output in left_over), sizes)
        self._read_past(existing, forgive_until_s)

    def take(self) -> Pair | None:
        """A pair that this process has to do now; None if others are at all that is left."""
        with self._lock:
            self._read_log()
            passed = set(self._claims.held())
            busy = {self._open[output].video for output in passed if output in self._open}
            while pair := next((pair for pair in self._in_order(busy) if pair.output not in passed), None):
                passed.add(pair.output)
                if not self._claims.take(pair.output):
                    busy.add(pair.video)
                    continue
                self._read_log()  # it may have been done a moment ago
                if pair.output in self._open:
                    self._video = pair.video
                    return pair
                self._claims.release(pair.output)
            return None

    def open_pairs(self) -> list[Pair]:
        """The pairs that are neither done nor given up, in the order in which this process should do them."""
        with self._lock:
            self._read_log()
            return list(self._in_order(set()))

    def end(self, record: dict) -> None:
        """Gives a pair back with the record, with `output` and `status`, of what became of it.

        That it failed counts only as long as it is open: somebody who overtook this process may have done it.
        """
        with self._lock:
            self._read_log()
            if record["status"] == DONE or record["output"] in self._open:
                self._log.append(record)
                self._read_log()
            self._claims.release(record["output"])

    def counts(self) -> tuple[int, int, int]:
        """How many pairs are done, have failed for good, and are open."""
        with self._lock:
            self._read_log()
            return self._count - len(self._open) - len(self._failed), len(self._failed), len(self._open)

    def records(self) -> Iterator[dict]:
        """The last record of each output, by name, also of those that are in no pair."""
        with self._lock:
            lines = sorted(self._records.items())
        return (json.loads(line) for _, line in lines)

    def has_record(self, output: str) -> bool:
        """Whether anything became of an output so far."""
        return output in self._records

    def failures(self) -> list[dict]:
        """The last record of each pair that has failed for good."""
        with self._lock:
            return [json.loads(self._records[output]) for output in sorted(self._failed)]

    def _read_past(self, existing: Callable[[Iterable[str]], Set[str]], forgive_until_s: float) -> None:
        past = by_time(self._log.refresh())
        done = {record["output"]: number for number, record in enumerate(past) if record["status"] == DONE}
        # Looked for after the log was read: an output is in its place before its record is written.
        there = existing(done)
        for number, record in enumerate(past):
            before_done = number < done.get(record["output"], -1)
            lost = record["status"] == DONE and record["output"] not in there
            forgiven = record["status"] == FAILED and record.get("ended_s", 0) < forgive_until_s
            self._take_in(record, counts=not (before_done or lost or forgiven))

    def _read_log(self) -> None:
        for record in by_time(self._log.refresh()):
            self._take_in(record)

    def _take_in(self, record: dict, counts: bool = True) -> None:
        output, is_done = record["output"], record["status"] == DONE
        if output in self._done and not is_done:
            return  # of a process that was taken for dead, and overtaken
        if not is_done or self._keep_done:
            self._records[output] = json.dumps(record).encode()  # takes a quarter of the room
        if not counts:
            return
        self._failures[output] = 0 if is_done else self._failures[output] + 1
        if is_done:
            self._done.add(output)
            self._failed.discard(output)
            self._close(output)
        elif output in self._open and self._failures[output] >= self._tries:
            self._failed.add(output)
            self._close(output)
        elif output in self._open:
            self._put_off(self._open[output])

    def _close(self, output: str) -> None:
        pair = self._open.pop(output, None)
        if pair is not None:
            for groups in (self._fresh, self._again):
                _remove(groups, pair)

    def _put_off(self, pair: Pair) -> None:
        _remove(self._fresh, pair)
        self._again.setdefault(pair.video, {})[pair.output] = pair

    def _in_order(self, busy: Set[Path]) -> Iterator[Pair]:
        """The open pairs; first those whose video this process has, then those whose video no other one has."""
        for groups in (self._fresh, self._again):
            own = [self._video] if self._video in groups else []
            idle = (video for video in groups if video not in busy and video != self._video)
            shared = (video for video in groups if video in busy and video != self._video)
            for video in chain(own, idle, shared):
                yield from groups[video].values()


def _remove(groups: dict[Path, dict[str, Pair]], pair: Pair) -> None:
    group = groups.get(pair.video, {})
    if group.pop(pair.output, None) and not group:
        del groups[pair.video]


def by_time(records: Iterable[dict]) -> list[dict]:
    """The records of pairs among others, those first that were written first."""
    of_pairs = (record for record in records if record.get("output") and record.get("status") in (DONE, FAILED))
    return sorted(of_pairs, key=lambda record: record.get("ended_s", 0))


def _by_video(pairs: Iterable[Pair], sizes: Mapping[str, int]) -> dict[Path, dict[str, Pair]]:
    """The pairs of each video by output, large ones first, and the videos with most to do first."""
    groups = defaultdict(dict)
    for pair in sorted(pairs, key=lambda pair: sizes[pair.output], reverse=True):
        groups[pair.video][pair.output] = pair
    return dict(sorted(groups.items(), key=lambda item: -sum(map(sizes.__getitem__, item[1]))))
