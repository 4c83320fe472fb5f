"""Which pairs are left to do: shared by all processes through claims and results, with nobody in charge."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

from .claims import Claims
from .pairs import Pair
from .results_log import ResultsLog

DONE, FAILED = "done", "failed"


class WorkBoard:
    """What one process knows of the work, and its way to get some; may be used by several threads.

    Pairs of one video go to one process as long as the others have something else to do, so that it is decoded once.
    Videos with much to do come first; what went wrong before, or was left by a process that died, comes last.

    Args:
        pairs: all of them.
        sizes: of the files of each pair, by output; what is large takes long.
        there: the outputs that exist; what was done, but is not there any more, is to be done again.
        claims: of this process.
        log: of all processes.
        tries: how often a pair may fail.
        retry_failed: whether what failed in the past is to be tried again as if it had not.

    Attributes:
        last: the last record of each output.

    Raises:
        MediaError: if the folder cannot be read or written; also from the methods.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        sizes: Mapping[str, int],
        there: Set[str],
        claims: Claims,
        log: ResultsLog,
        tries: int,
        retry_failed: bool = False,
    ):
        self._claims, self._log, self._tries = claims, log, tries
        self._lock = threading.RLock()
        self.last: dict[str, dict] = {}
        self._failures: Counter[str] = Counter()
        self._open = {pair.output: pair for pair in pairs}
        self._failed: set[str] = set()
        self._count = len(pairs)
        self._groups = _by_video(pairs, sizes)
        self._video: Path | None = None
        self._left_over = claims.left_over()
        self._read_past(there, retry_failed)

    def take(self) -> Pair | None:
        """A pair that this process has to do now; None if others are at all that is left."""
        with self._lock:
            self._read_log()
            passed = set(self._claims.held())
            busy = {self._open[output].video for output in passed if output in self._open}
            while pair := next((pair for pair in self._in_order(busy) if pair.output not in passed), None):
                passed.add(pair.output)
                if self._claims.take(pair.output):
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
        """Gives a pair back with the record, with `output` and `status`, of what became of it."""
        with self._lock:
            self._log.append(record)
            self._read_log()
            self._claims.release(record["output"])

    def counts(self) -> tuple[int, int, int]:
        """How many pairs are done, have failed for good, and are open."""
        with self._lock:
            self._read_log()
            return self._count - len(self._open) - len(self._failed), len(self._failed), len(self._open)

    def records(self) -> list[dict]:
        """The last record of each output that there is one of, also of those that are in no pair."""
        with self._lock:
            return [self.last[output] for output in sorted(self.last)]

    def failures(self) -> list[dict]:
        """The last record of each pair that has failed for good."""
        with self._lock:
            return [self.last[output] for output in sorted(self._failed)]

    def _read_past(self, there: Set[str], retry_failed: bool) -> None:
        past = self._log.refresh()
        self.last.update((record.get("output"), record) for record in past)
        for record in past:
            lost = record.get("status") == DONE and record.get("output") not in there
            forgiven = record.get("status") == FAILED and retry_failed
            if not (lost or forgiven):
                self._take_in(record)

    def _read_log(self) -> None:
        for record in self._log.refresh():
            self.last[record.get("output")] = record
            self._take_in(record)

    def _take_in(self, record: dict) -> None:
        output, status = record.get("output"), record.get("status")
        self._failures[output] += status == FAILED
        if status == DONE:
            self._failed.discard(output)
            self._close(output)
        elif output in self._open and self._failures[output] >= self._tries:
            self._failed.add(output)
            self._close(output)

    def _close(self, output: str) -> None:
        pair = self._open.pop(output, None)
        if pair is not None:
            group = self._groups[pair.video]
            del group[output]
            if not group:
                del self._groups[pair.video]

    def _in_order(self, busy: set[Path]) -> Iterator[Pair]:
        """The open pairs; first those whose video this process has, then those whose video no other one has."""
        for again in (False, True):
            for rank in range(3):
                for video in self._of_rank(rank, busy):
                    yield from (pair for pair in self._groups[video].values() if self._went_wrong(pair) == again)

    def _of_rank(self, rank: int, busy: set[Path]) -> Iterable[Path]:
        if rank == 0:
            return [self._video] if self._video in self._groups else []
        return (video for video in self._groups if video != self._video and (video in busy) == (rank == 2))

    def _went_wrong(self, pair: Pair) -> bool:
        return self._failures[pair.output] > 0 or pair.output in self._left_over


def _by_video(pairs: Iterable[Pair], sizes: Mapping[str, int]) -> dict[Path, dict[str, Pair]]:
    """The pairs of each video by output, large ones first, and the videos with most to do first."""
    groups = defaultdict(dict)
    for pair in sorted(pairs, key=lambda pair: sizes[pair.output], reverse=True):
        groups[pair.video][pair.output] = pair
    return dict(sorted(groups.items(), key=lambda item: -sum(map(sizes.__getitem__, item[1]))))
