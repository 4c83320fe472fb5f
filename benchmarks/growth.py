#!/usr/bin/env python3
"""Simulates a batch in an object store with many workers: the real scheduler, fake work and a simulated clock.

Each worker is a thread with the work queue, leases, journal and heartbeat of the program. The store is a dictionary
that counts requests, and each request takes its time on the simulated clock; only one thread runs at a time, the one
whose next event is first. A pair takes as long as its frames at the measured speed, drawn from a lognormal
distribution. With --deaths, that part of the workers dies each minute and is replaced after a while.

    python benchmarks/growth.py --workers 8 64 512 --pairs-each 5 --deaths 0 0.01 --json growth.json
"""

import argparse
import heapq
import itertools
import json
import random
import threading
import time as real_time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diff2lip_diffusers.batch import work_queue
from diff2lip_diffusers.batch.in_store import heartbeat as heartbeat_module
from diff2lip_diffusers.batch.in_store import pace as pace_module
from diff2lip_diffusers.batch.in_store.heartbeat import StoredHeartbeat
from diff2lip_diffusers.batch.in_store.journal import StoredJournal
from diff2lip_diffusers.batch.in_store.leases import StoredLeases
from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.batch.work_queue import WorkQueue
from diff2lip_diffusers.stores.object_store import ObjectInfo
from diff2lip_diffusers.stores.urls import Url

BEAT_S = 15.0
# A worker that died is replaced after this time, by a machine that has to load libraries and model.
REPLACED_S = 120.0


def main() -> None:
    """Simulates each number of workers, and prints the table."""
    args = parse_args()
    print("| workers | deaths a minute | pairs | efficiency | first output | tail | requests a pair | made twice |")
    print("|---" * 8 + "|")
    rows = []
    for count, deaths in itertools.product(args.workers, args.deaths):
        start_s = real_time.process_time()
        row = Simulation(count, deaths, args).run()
        rows.append(row | {"cpu_s": round(real_time.process_time() - start_s, 1)})
        print(
            f"| {count} | {deaths:.0%} | {row['pairs']} | {row['efficiency']:.1%} | {row['first_output_s']:.0f} s "
            f"| {row['tail_s']:.0f} s | {row['requests_per_pair']:.0f} | {row['made_twice']} |",
            flush=True,
        )
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--pairs-each", type=int, default=5, help="pairs for each worker")
    parser.add_argument("--pair-s", type=float, default=60.0, help="median seconds that a worker takes for a pair")
    parser.add_argument("--spread", type=float, default=0.5, help="sigma of the lognormal distribution of these")
    parser.add_argument("--deaths", type=float, nargs="+", default=[0.0], help="part of the workers a minute")
    parser.add_argument("--request-s", type=float, default=0.03, help="seconds of a request to the store")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


class Clock:
    """A simulated clock: threads sleep until it is their turn, and exactly one runs."""

    def __init__(self):
        self.now_s, self._numbers = 0.0, itertools.count()
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._ours = threading.local()

    def adopt(self) -> None:
        """Called first in each simulated thread."""
        self._ours.turn = threading.Event()

    def enter(self, at_s: float, turn: threading.Event) -> None:
        """Lets a thread run at a time."""
        heapq.heappush(self._waiting, (at_s, next(self._numbers), turn))

    def sleep(self, seconds: float) -> None:
        """Sleeps; threads that are not simulated go on at once."""
        turn = getattr(self._ours, "turn", None)
        if turn is None:
            return
        self.enter(self.now_s + seconds, turn)
        self.give_turn()
        turn.wait()
        turn.clear()

    def wait_first(self) -> None:
        """Waits for the first turn of this thread."""
        self._ours.turn.wait()
        self._ours.turn.clear()

    def turn_of(self) -> threading.Event:
        """The event of this thread."""
        return self._ours.turn

    def give_turn(self) -> bool:
        """Lets the next thread run; returns whether there was one."""
        if not self._waiting:
            return False
        at_s, _, turn = heapq.heappop(self._waiting)
        self.now_s = max(self.now_s, at_s)
        turn.set()
        return True

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self.now_s

    def time(self) -> float:
        """As `time.time`."""
        return 1e9 + self.now_s


class FakeStore:
    """Objects in memory, with the methods of `ObjectStore`; counts requests, which take time."""

    def __init__(self, clock: Clock, request_s: float):
        self.base, self.requests = Url("s3://bucket/out/.diff2lip"), Counter[str]()
        self._clock, self._request_s, self._versions = clock, request_s, itertools.count()
        # By the first part of a name, then by folder, then by the last part.
        self._folders: dict[str, dict[str, dict[str, tuple[bytes, ObjectInfo]]]] = defaultdict(dict)

    def ask(self, method: str, name: str) -> None:
        """Counts a request, and takes its time."""
        self.requests[f"{method} {name.partition('/')[0]}"] += 1
        self._clock.sleep(self._request_s)

    def _folder(self, folder: str) -> dict[str, tuple[bytes, ObjectInfo]]:
        return self._folders[folder.partition("/")[0]].get(folder, {})

    def _put(self, name: str, content: bytes) -> None:
        folder, _, last = name.rpartition("/")
        info = ObjectInfo(len(content), self._clock.time(), str(next(self._versions)))
        self._folders[folder.partition("/")[0]].setdefault(folder, {})[last] = content, info

    def _get(self, name: str) -> tuple[bytes, ObjectInfo] | None:
        folder, _, last = name.rpartition("/")
        return self._folder(folder).get(last)

    def read(self, name: str) -> bytes | None:
        """The content of an object."""
        self.ask("read", name)
        found = self._get(name)
        return None if found is None else found[0]

    def write(self, name: str, content: bytes) -> None:
        """Writes an object."""
        self.ask("write", name)
        self._put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object if there is none."""
        self.ask("create", name)
        if self._get(name) is not None:
            return False
        self._put(name, content)
        return True

    def remove(self, name: str) -> None:
        """Removes an object."""
        self.ask("remove", name)
        folder, _, last = name.rpartition("/")
        self._folder(folder).pop(last, None)

    def info(self, name: str = "") -> ObjectInfo | None:
        """What is known of an object."""
        self.ask("info", name)
        found = self._get(name)
        return None if found is None else found[1]

    def list(self, folder: str = "", deep: bool = False) -> dict[str, ObjectInfo]:
        """The objects in a folder; a page has a thousand."""
        if not deep:
            self.ask("list", folder)
            return {name: info for name, (_, info) in self._folder(folder).items()}
        start = f"{folder}/"
        found = {
            f"{one[len(start) :]}/{name}": info
            for one, objects in list(self._folders[folder].items())
            if objects and one.startswith(start)
            for name, (_, info) in objects.items()
        }
        for _ in range(1 + len(found) // 1000):
            self.ask("list", folder)
        return found


class SimulatedHeartbeat(StoredHeartbeat):
    """A heartbeat of a machine of its own, which the simulation renews."""

    def __init__(self, store: FakeStore, name: str):
        super().__init__(store)  # pyright: ignore[reportArgumentType]  # it has the same methods
        self.id = f"{name}-0-0"
        self.beaten_s = float("-inf")

    def _content(self) -> str:
        return "{}"

    def beat(self, now_s: float) -> None:
        """Renews it if it is time, as the thread of a real one does."""
        if now_s - self.beaten_s >= BEAT_S:
            self._touch()
            self.beaten_s = now_s


@dataclass
class Worker:
    """A worker, and when it dies."""

    name: str
    starts_s: float
    dies_s: float
    turn: threading.Event = field(default_factory=threading.Event)


class Simulation:
    """One run of a batch.

    Args:
        count: workers.
        deaths: part of them that dies each minute.
        args: of the command line.
    """

    def __init__(self, count: int, deaths: float, args: argparse.Namespace):
        self._count, self._deaths, self._args = count, deaths, args
        self._chance = random.Random(args.seed)
        self._clock = Clock()
        self._store = FakeStore(self._clock, args.request_s)
        names = [f"{index}.mp4" for index in range(count * args.pairs_each)]
        self._pairs = [Pair(Url(f"s3://bucket/{name}"), None, name) for name in names]
        self._seconds = {
            name: args.pair_s * self._chance.lognormvariate(0, args.spread) / 2.718281828 ** (args.spread**2 / 2)
            for name in names
        }
        self._sizes = {name: int(1e6 * seconds) for name, seconds in self._seconds.items()}
        self._made: list[tuple[float, str]] = []
        self._busy_s, self._alive, self._numbers = 0.0, 0, itertools.count()
        self._ended = threading.Event()

    def run(self) -> dict[str, Any]:
        """Runs it; returns what was measured."""
        for module in (pace_module, heartbeat_module, work_queue):
            module.time = self._clock  # pyright: ignore[reportAttributeAccessIssue]
        try:
            for _ in range(self._count):
                self._start(self._chance.uniform(0, 1))
            self._clock.give_turn()
            self._ended.wait()
        finally:
            for module in (pace_module, heartbeat_module, work_queue):
                module.time = real_time  # pyright: ignore[reportAttributeAccessIssue]
        return self._measured()

    def _start(self, at_s: float) -> None:
        rate_s = self._deaths / 60
        lives_s = self._chance.expovariate(rate_s) if rate_s else float("inf")
        worker = Worker(f"node{next(self._numbers)}", at_s, at_s + lives_s)
        self._alive += 1
        threading.Thread(target=self._live, args=(worker,), daemon=True).start()
        self._clock.enter(at_s, worker.turn)

    def _live(self, worker: Worker) -> None:
        self._clock.adopt()
        self._clock._ours.turn = worker.turn
        self._clock.wait_first()
        try:
            died = not self._work(worker)
        except BaseException:
            self._ended.set()
            raise
        if died:
            self._start(self._clock.now_s + REPLACED_S)
        self._alive -= 1
        if not self._clock.give_turn():
            self._ended.set()

    def _work(self, worker: Worker) -> bool:
        """Works as a process of a batch does; returns False if the worker dies."""
        heartbeat = SimulatedHeartbeat(self._store, worker.name)
        heartbeat.beat(self._clock.now_s)
        leases = StoredLeases(self._store, heartbeat)  # pyright: ignore[reportArgumentType]
        by_output = self._sizes
        journal = StoredJournal(self._store, heartbeat.id, by_output, self._store)  # pyright: ignore[reportArgumentType]
        queue = WorkQueue(self._pairs, self._sizes, lambda sizes: set(sizes), leases, journal, 2, keep_done=False)
        while True:
            pair = queue.take() or queue.take(suspect=True)
            if pair is None:
                heartbeat.beat(self._clock.now_s)
                if self._clock.now_s >= worker.dies_s:
                    return False
                if not queue.wait_for_more():
                    return True
                continue
            if not self._make(pair, worker, heartbeat):
                return False
            queue.finish(
                {"output": pair.output, "status": "done", "ended_s": self._clock.time(), "process": heartbeat.id}
            )

    def _make(self, pair: Pair, worker: Worker, heartbeat: SimulatedHeartbeat) -> bool:
        """Takes the time of a pair; returns False if the worker dies before its end."""
        left_s = self._seconds[pair.output]
        while left_s > 0:
            step_s = min(left_s, BEAT_S)
            if self._clock.now_s + step_s >= worker.dies_s:
                self._clock.sleep(max(0.0, worker.dies_s - self._clock.now_s))
                return False
            self._clock.sleep(step_s)
            left_s -= step_s
            heartbeat.beat(self._clock.now_s)
        self._busy_s += self._seconds[pair.output]
        self._store.ask("write", "outputs")
        self._made.append((self._clock.now_s, pair.output))
        return True

    def _measured(self) -> dict[str, Any]:
        ends = [at_s for at_s, _ in self._made]
        total_s = max(ends)
        work_s = sum(self._seconds.values())
        # From here on, not all workers can be busy.
        done = sorted(ends)
        tail_s = total_s - done[max(0, len(done) - self._count)]
        return {
            "workers": self._count,
            "deaths_per_minute": self._deaths,
            "pairs": len(self._pairs),
            "pair_s": self._args.pair_s,
            "efficiency": work_s / (self._count * total_s),
            "first_output_s": min(ends),
            "total_s": total_s,
            "tail_s": tail_s,
            "requests_per_pair": self._store.requests.total() / len(self._pairs),
            "requests_by_kind": {kind: count / len(self._pairs) for kind, count in self._store.requests.most_common()},
            "made_twice": len(self._made) - len(self._pairs),
        }


if __name__ == "__main__":
    main()
