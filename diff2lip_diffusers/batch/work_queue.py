"""Work queue of a batch, shared by all processes through leases and journals; no process is in charge."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, islice

from ..errors import Diff2LipError
from ..stores.urls import Location
from .journal import Journal
from .kept_records import KeptRecords
from .leases import Leases, name_of_key
from .pair_records import DIED, DONE, output_of, sort_by_time
from .pairs import Pair

WAIT_S = 0.5
# A process that lost more than so many pairs to others goes further down the list with each one; and the binary
# logarithm of how far at most.
BAD_LUCK, MOST_SPREAD = 2, 13


class ProcessDiedError(Diff2LipError):
    """A pair ended the process that made it."""


class WorkQueue:
    """The queue as one process sees it. Several threads may use it.

    All pairs of one video go to the same process while the others have different work, so that it is decoded once.
    Videos with the most work come first. Pairs that failed, or that a dead process held, come last. A pair whose
    process was killed is a suspect until it is done: it is to be taken while its process has no other pair in hand.

    Args:
        pairs: all pairs of the batch.
        sizes: bytes of the files of each pair, by output; large files are expected to take long.
        intact: returns which of some outputs exist with one of the given sizes in bytes; a pair that is done but whose
            output is not intact is done again.
        leases: leases of this process.
        journal: records of all processes.
        tries: how many failures end a pair.
        forgiven: how many of the failures of each output do not count, as [`WorkQueue.failures_by_output`] gives them.
        keep_done: whether to keep the records of pairs that are done, for `records`.

    Raises:
        MediaError: if the folder cannot be read or written; also from the methods.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        sizes: Mapping[str, int],
        intact: Callable[[Mapping[str, Set[int]]], Set[str]],
        leases: Leases,
        journal: Journal,
        tries: int,
        forgiven: Mapping[str, int] | None = None,
        keep_done: bool = True,
    ):
        self._leases, self._journal, self._tries = leases, journal, tries
        self._lock = threading.RLock()
        self._keep_done = keep_done
        self._kept = KeptRecords()
        self._failures: Counter[str] = Counter({output: -number for output, number in (forgiven or {}).items()})
        self._suspects: set[str] = set()
        # Deaths that no supervisor saw, since the last failure of each output, and those that a supervisor saw.
        self._unseen_deaths: Counter[str] = Counter()
        self._seen_deaths: set[tuple[str, str]] = set()
        self._open = {pair.output: pair for pair in pairs}
        self._by_name = {name_of_key(pair.output): pair.output for pair in pairs}
        self._uses = Counter(pair.video for pair in pairs)
        self._done: set[str] = set()
        self._failed: set[str] = set()
        self._ours = set(self._open)
        self._video: Location | None = None
        orphaned = leases.orphaned()
        self._first = _by_video((pair for pair in pairs if pair.output not in orphaned), sizes)
        self._last = _by_video((pair for pair in pairs if pair.output in orphaned), sizes)
        self._replay(intact)

    def take(self, suspect: bool = False) -> Pair | None:
        """Takes the next pair for this process; None if other processes hold all that are left.

        Args:
            suspect: whether to take a suspect, or a pair that is none. While a process has a suspect in hand, it must
                not take another pair.
        """
        with self._lock:
            self._update()
            if not suspect:
                pair = self._take(self._leases.glance(self._by_name), suspect)
                if pair is not None:
                    return pair
            # Nothing seems to be left, so it pays to look closely: holders may be dead.
            self._suspects |= {output_of(key) for key in self._leases.left_by_killed()} & self._open.keys()
            return self._take(set(self._leases.held()), suspect)

    def is_suspect(self, pair: Pair) -> bool:
        """Whether a process was killed while it had this pair in hand, since the pair was done last."""
        return pair.output in self._suspects

    def unseen_deaths(self, pair: Pair) -> int:
        """How many processes were killed while they had only this pair in hand, which no supervisor saw.

        Such a death may have nothing to do with the pair: somebody ended the batch, or the machine lost its power.
        """
        with self._lock:
            return self._unseen_deaths[pair.output]

    def failures_by_output(self) -> dict[str, int]:
        """How many failures count against each output so far."""
        with self._lock:
            return {output: number for output, number in self._failures.items() if number > 0}

    def open_pairs(self) -> list[Pair]:
        """The pairs that are neither done nor failed for good, in the order in which this process should take them."""
        with self._lock:
            self._update()
            return list(self._in_order(set()))

    def has_twin(self, pair: Pair) -> bool:
        """Whether other pairs of the batch have the same video."""
        return self._uses[pair.video] > 1

    def wait_for_more(self) -> bool:
        """Waits a moment for pairs that other processes have in hand; returns False if none is open."""
        if not self.counts()[-1]:
            return False
        time.sleep(WAIT_S)
        return True

    def catch_up(self) -> None:
        """Learns at once what all processes have recorded so far."""
        with self._lock:
            for record in sort_by_time(self._journal.read_new(at_once=True, sift=self._sift)):
                self._apply(record)

    def finish(self, record: dict) -> None:
        """Records the outcome of a pair and releases it.

        A failure counts only while the pair is open: a process that took this one for dead may have done the pair.

        Args:
            record: holds at least `output` and `status`.
        """
        with self._lock:
            self._update(record["output"])
            if record["status"] == DONE or record["output"] in self._open:
                self._journal.append(record)
                self._update()
            self._leases.release(record["output"])

    def counts(self) -> tuple[int, int, int]:
        """The numbers of pairs that are done, that failed for good, and that are open."""
        with self._lock:
            self._update()
            return len(self._ours) - len(self._open) - len(self._failed), len(self._failed), len(self._open)

    def records(self) -> Iterator[dict]:
        """The last record of each output, sorted by name, including outputs that are in no pair."""
        after = None
        while True:
            with self._lock:
                page = self._kept.page(after)
            if not page:
                return
            yield from page
            after = page[-1]["output"]

    def has_record(self, output: str) -> bool:
        """Whether there is a record of an output."""
        with self._lock:
            return self._kept.get(output) is not None

    def failures(self) -> list[dict]:
        """The last record of each pair that has failed for good."""
        with self._lock:
            return list(self._kept.of(sorted(self._failed)))

    def lost(self, intact: Callable[[Mapping[str, Set[int]]], Set[str]]) -> list[str]:
        """The outputs of pairs that are done but whose files are not there any more, sorted by name."""
        with self._lock:
            sizes = _sizes_when_done(record for record in self._kept.of(self._ours) if record["status"] == DONE)
        return sorted(sizes.keys() - intact(sizes))

    def _take(self, passed: set[str], suspect: bool) -> Pair | None:
        """Takes the next pair that is not among those to pass."""
        busy = {self._open[output].video for output in passed if output in self._open}
        num_lost = 0
        while pair := self._next(busy, passed, suspect, num_lost):
            passed.add(pair.output)
            if not self._leases.take(pair.output):
                busy.add(pair.video)
                num_lost += 1
                continue
            self._update(pair.output)  # another process may have finished it a moment ago
            if pair.output in self._open:
                self._video = pair.video
                return pair
            self._leases.release(pair.output)
        return None

    def _next(self, busy: Set[Location], passed: Set[str], suspect: bool, num_lost: int) -> Pair | None:
        """The next pair. Whoever lost some to other processes goes further down the list, by chance: thousands that
        start at the same time would else meet at each pair."""
        in_order = (pair for pair in self._in_order(busy) if (pair.output in self._suspects) == suspect)
        width = 2 ** min(max(0, num_lost - BAD_LUCK), MOST_SPREAD)
        left = list(islice((pair for pair in in_order if pair.output not in passed), width))
        return random.choice(left) if left else None

    def _replay(self, intact: Callable[[Mapping[str, Set[int]]], Set[str]]) -> None:
        """Applies the records of earlier calls."""
        past = sort_by_time(self._journal.read_new(sift=self._sift))
        done = {record["output"]: number for number, record in enumerate(past) if record["status"] == DONE}
        # Look for outputs after reading the journal: an output is in place before its record is written.
        present = intact(_sizes_when_done(record for record in past if record["status"] == DONE))
        for number, record in enumerate(past):
            before_done = number < done.get(record["output"], -1)
            lost = record["status"] == DONE and record["output"] not in present
            self._apply(record, counts=not (before_done or lost))

    def _update(self, output: str | None = None) -> None:
        """Applies new records; those of an output at once, others when they are known."""
        for record in sort_by_time(self._journal.read_new(output, sift=self._sift)):
            self._apply(record)

    def _sift(self, record: dict) -> bool:
        """Whether a record is of a pair of this list. Others, of which there may be millions, are kept at once."""
        if not isinstance(record.get("output"), str) or record["output"] in self._ours:
            return True
        for sound in sort_by_time([record]):
            last = self._kept.get(sound["output"]) or {}
            # What is done stays so; otherwise the later record counts.
            ranks = [(one.get("status") == DONE, one.get("ended_s", 0)) for one in (last, sound)]
            if ranks[0] <= ranks[1]:
                self._keep(sound)
        return False

    def _keep(self, record: dict) -> None:
        """Keeps the last record of an output, if it is told."""
        if record["status"] != DIED and (record["status"] != DONE or self._keep_done):
            self._kept.put(record)

    def _apply(self, record: dict, counts: bool = True) -> None:
        output, is_done = record["output"], record["status"] == DONE
        if output in self._done and not is_done:
            return  # from a process that was taken for dead, after its successor was done
        self._keep(record)
        if counts and is_done:
            self._apply_done(output)
        elif counts and record["status"] == DIED:
            self._apply_death(output, record)
        elif counts:
            self._apply_failure(output, record)

    def _apply_done(self, output: str) -> None:
        self._failures[output] = 0
        self._done.add(output)
        self._failed.discard(output)
        self._suspects.discard(output)
        self._close(output)

    def _apply_death(self, output: str, record: dict) -> None:
        self._suspects.add(output)
        if record.get("num_suspects") == 1 and (output, record.get("process")) not in self._seen_deaths:
            self._unseen_deaths[output] += 1

    def _apply_failure(self, output: str, record: dict) -> None:
        self._failures[output] += 1
        self._unseen_deaths[output] = 0
        if record.get("error_type") == ProcessDiedError.__name__:
            self._suspects.add(output)
            self._seen_deaths.add((output, str(record.get("process"))))
        if output in self._open and self._failures[output] >= self._tries:
            self._failed.add(output)
            self._close(output)
        elif output in self._open and self._failures[output] > 0:
            self._postpone(self._open[output])

    def _close(self, output: str) -> None:
        pair = self._open.pop(output, None)
        if pair is not None:
            for groups in (self._first, self._last):
                _remove(groups, pair)

    def _postpone(self, pair: Pair) -> None:
        _remove(self._first, pair)
        self._last.setdefault(pair.video, {})[pair.output] = pair

    def _in_order(self, busy: Set[Location]) -> Iterator[Pair]:
        """The open pairs: first those of this process's video, then of videos that no other process works on."""
        for groups in (self._first, self._last):
            own = [self._video] if self._video in groups else []
            idle = (video for video in groups if video not in busy and video != self._video)
            shared = (video for video in groups if video in busy and video != self._video)
            for video in chain(own, idle, shared):
                yield from groups[video].values()


def _remove(groups: dict[Location, dict[str, Pair]], pair: Pair) -> None:
    group = groups.get(pair.video, {})
    if group.pop(pair.output, None) and not group:
        del groups[pair.video]


def _sizes_when_done(done: Iterable[dict]) -> dict[str, set[int]]:
    """The sizes in bytes that each output had when it was done; records of older versions have none."""
    sizes: dict[str, set[int]] = defaultdict(set)
    for record in done:
        known = sizes[record["output"]]
        if "output_bytes" in record:
            known.add(record["output_bytes"])
    return sizes


def _by_video(pairs: Iterable[Pair], sizes: Mapping[str, int]) -> dict[Location, dict[str, Pair]]:
    """The pairs of each video, by output, large ones first; the videos with the most work first."""
    groups = defaultdict(dict)
    for pair in sorted(pairs, key=lambda pair: sizes[pair.output], reverse=True):
        groups[pair.video][pair.output] = pair
    return dict(sorted(groups.items(), key=lambda item: -sum(map(sizes.__getitem__, item[1]))))
