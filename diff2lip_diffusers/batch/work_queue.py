"""Work queue of a batch, shared by all processes through leases and journals; no process is in charge."""

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
    """The queue as one process sees it. Several threads may use it.

    All pairs of one video go to the same process while the others have different work, so that it is decoded once.
    Videos with the most work come first. Pairs that failed, or that a dead process held, come last.

    Args:
        pairs: all pairs of the batch.
        sizes: bytes of the files of each pair, by output; large files are expected to take long.
        existing: returns which of some outputs exist; a pair that is done but whose output is gone is done again.
        leases: leases of this process.
        journal: records of all processes.
        tries: how many failures end a pair.
        forgive_until_s: failures before this time, in seconds since 1970, do not count.
        keep_done: whether to keep the records of pairs that are done, for `records`; takes 1 KB each.

    Raises:
        MediaError: if the folder cannot be read or written; also from the methods.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        sizes: Mapping[str, int],
        existing: Callable[[Iterable[str]], Set[str]],
        leases: Leases,
        journal: Journal,
        tries: int,
        forgive_until_s: float = 0,
        keep_done: bool = True,
    ):
        self._leases, self._journal, self._tries = leases, journal, tries
        self._lock = threading.RLock()
        self._keep_done = keep_done
        self._records: dict[str, bytes] = {}
        self._failures: Counter[str] = Counter()
        self._open = {pair.output: pair for pair in pairs}
        self._done: set[str] = set()
        self._failed: set[str] = set()
        self._count = len(pairs)
        self._video: Path | None = None
        orphaned = leases.orphaned()
        self._first = _by_video((pair for pair in pairs if pair.output not in orphaned), sizes)
        self._last = _by_video((pair for pair in pairs if pair.output in orphaned), sizes)
        self._replay(existing, forgive_until_s)

    def take(self) -> Pair | None:
        """Takes the next pair for this process; None if other processes hold all that are left."""
        with self._lock:
            self._update()
            passed = set(self._leases.held())
            busy = {self._open[output].video for output in passed if output in self._open}
            while pair := next((pair for pair in self._in_order(busy) if pair.output not in passed), None):
                passed.add(pair.output)
                if not self._leases.take(pair.output):
                    busy.add(pair.video)
                    continue
                self._update()  # another process may have finished it a moment ago
                if pair.output in self._open:
                    self._video = pair.video
                    return pair
                self._leases.release(pair.output)
            return None

    def open_pairs(self) -> list[Pair]:
        """The pairs that are neither done nor failed for good, in the order in which this process should take them."""
        with self._lock:
            self._update()
            return list(self._in_order(set()))

    def finish(self, record: dict) -> None:
        """Records the outcome of a pair and releases it.

        A failure counts only while the pair is open: a process that took this one for dead may have done the pair.

        Args:
            record: holds at least `output` and `status`.
        """
        with self._lock:
            self._update()
            if record["status"] == DONE or record["output"] in self._open:
                self._journal.append(record)
                self._update()
            self._leases.release(record["output"])

    def counts(self) -> tuple[int, int, int]:
        """The numbers of pairs that are done, that failed for good, and that are open."""
        with self._lock:
            self._update()
            return self._count - len(self._open) - len(self._failed), len(self._failed), len(self._open)

    def records(self) -> Iterator[dict]:
        """The last record of each output, sorted by name, including outputs that are in no pair."""
        with self._lock:
            lines = sorted(self._records.items())
        return (json.loads(line) for _, line in lines)

    def has_record(self, output: str) -> bool:
        """Whether there is a record of an output."""
        return output in self._records

    def failures(self) -> list[dict]:
        """The last record of each pair that has failed for good."""
        with self._lock:
            return [json.loads(self._records[output]) for output in sorted(self._failed)]

    def _replay(self, existing: Callable[[Iterable[str]], Set[str]], forgive_until_s: float) -> None:
        """Applies the records of earlier calls."""
        past = sort_by_time(self._journal.read_new())
        done = {record["output"]: number for number, record in enumerate(past) if record["status"] == DONE}
        # Look for outputs after reading the journal: an output is in place before its record is written.
        present = existing(done)
        for number, record in enumerate(past):
            before_done = number < done.get(record["output"], -1)
            lost = record["status"] == DONE and record["output"] not in present
            forgiven = record["status"] == FAILED and record.get("ended_s", 0) < forgive_until_s
            self._apply(record, counts=not (before_done or lost or forgiven))

    def _update(self) -> None:
        for record in sort_by_time(self._journal.read_new()):
            self._apply(record)

    def _apply(self, record: dict, counts: bool = True) -> None:
        output, is_done = record["output"], record["status"] == DONE
        if output in self._done and not is_done:
            return  # from a process that was taken for dead, after its successor was done
        if not is_done or self._keep_done:
            self._records[output] = json.dumps(record).encode()  # a quarter of the memory of a dict
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
            self._postpone(self._open[output])

    def _close(self, output: str) -> None:
        pair = self._open.pop(output, None)
        if pair is not None:
            for groups in (self._first, self._last):
                _remove(groups, pair)

    def _postpone(self, pair: Pair) -> None:
        _remove(self._first, pair)
        self._last.setdefault(pair.video, {})[pair.output] = pair

    def _in_order(self, busy: Set[Path]) -> Iterator[Pair]:
        """The open pairs: first those of this process's video, then of videos that no other process works on."""
        for groups in (self._first, self._last):
            own = [self._video] if self._video in groups else []
            idle = (video for video in groups if video not in busy and video != self._video)
            shared = (video for video in groups if video in busy and video != self._video)
            for video in chain(own, idle, shared):
                yield from groups[video].values()


def _remove(groups: dict[Path, dict[str, Pair]], pair: Pair) -> None:
    group = groups.get(pair.video, {})
    if group.pop(pair.output, None) and not group:
        del groups[pair.video]


def sort_by_time(records: Iterable[dict]) -> list[dict]:
    """The records of pairs, oldest first; other records are left out."""
    of_pairs = (record for record in records if record.get("output") and record.get("status") in (DONE, FAILED))
    return sorted(of_pairs, key=lambda record: record.get("ended_s", 0))


def _by_video(pairs: Iterable[Pair], sizes: Mapping[str, int]) -> dict[Path, dict[str, Pair]]:
    """The pairs of each video, by output, large ones first; the videos with the most work first."""
    groups = defaultdict(dict)
    for pair in sorted(pairs, key=lambda pair: sizes[pair.output], reverse=True):
        groups[pair.video][pair.output] = pair
    return dict(sorted(groups.items(), key=lambda item: -sum(map(sizes.__getitem__, item[1]))))
