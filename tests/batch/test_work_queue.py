import json
import random
import threading
from collections import Counter
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from diff2lip_diffusers.batch.heartbeat import Heartbeat
from diff2lip_diffusers.batch.journal import Journal
from diff2lip_diffusers.batch.leases import Leases
from diff2lip_diffusers.batch.pair_records import DONE, FAILED
from diff2lip_diffusers.batch.pairs import Pair
from diff2lip_diffusers.batch.work_queue import WorkQueue

clock = count(1000)


def pairs_of(videos: dict[str, list[int]]) -> list[Pair]:
    """A pair for each size, `v0` and `v1` of the video `v`."""
    return [
        Pair(Path(video), None, f"{video}{index}") for video, sizes in videos.items() for index in range(len(sizes))
    ]


def sizes_of(videos: dict[str, list[int]]) -> dict[str, int]:
    return {f"{video}{index}": size for video, sizes in videos.items() for index, size in enumerate(sizes)}


def record_of(output: str, status: str) -> dict:
    return {"output": output, "status": status, "ended_s": next(clock)}


class Worker:
    """What one of several processes has, all of it its own."""

    def __init__(self, folder, process, videos, *, there=(), tries=2, **options):
        self.process, self.leases, self.log = process, Leases(folder, process), Journal(folder, process.id)
        pairs, sizes = pairs_of(videos), sizes_of(videos)
        self.queue = WorkQueue(
            pairs, sizes, lambda outputs: set(there) & set(outputs), self.leases, self.log, tries, **options
        )

    def take(self) -> str | None:
        pair = self.queue.take()
        return None if pair is None else pair.output

    def take_all(self) -> list[str]:
        """Takes all it gets, and does it."""
        taken = []
        while output := self.take():
            taken.append(output)
            self.done(output)
        return taken

    def done(self, output):
        self.queue.finish(record_of(output, DONE))

    def fail(self, output):
        self.queue.finish(record_of(output, FAILED))

    def die(self):
        self.process.__exit__(None, None, None)


@pytest.fixture
def join(tmp_path):
    """Makes one more process at work."""
    with ExitStack() as stack:
        yield lambda videos, **options: Worker(tmp_path, stack.enter_context(Heartbeat(tmp_path)), videos, **options)


def log_past(folder: Path, process_id: str, status: str, *outputs: str):
    log = Journal(folder, process_id)
    for output in outputs:
        log.append(record_of(output, status))


def just_before_claiming(worker: Worker, action):
    """Calls the action once, when the worker has chosen a pair and is about to claim it."""
    take = worker.leases.take

    def act_and_take(key):
        worker.leases.take = take
        action()
        return take(key)

    worker.leases.take = act_and_take


# Every pair once


@pytest.mark.parametrize("seed", range(5))
def test_three_processes_get_every_pair_once(join, seed):
    videos = {"a": [5] * 7, "b": [9] * 3, "c": [1], "d": [2, 8, 4]}
    workers, chance = [join(videos) for _ in range(3)], random.Random(seed)
    taken, at_work = [], []
    while True:
        if at_work and chance.random() < 0.5:
            worker, output = at_work.pop(chance.randrange(len(at_work)))
            worker.done(output)
        elif output := (worker := chance.choice(workers)).take():
            taken.append(output)
            at_work.append((worker, output))
        elif not at_work:
            break
    assert sorted(taken) == sorted(sizes_of(videos))
    assert [worker.queue.counts() for worker in workers] == [(14, 0, 0)] * 3


def test_threads_of_one_process_get_every_pair_once(join):
    videos = {"a": [5] * 9, "b": [9] * 9}
    worker, taken = join(videos), []
    threads = [threading.Thread(target=lambda: taken.extend(worker.take_all())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(sizes_of(videos))
    assert worker.queue.counts() == (18, 0, 0)


class Chaos:
    """Three processes that fail and die by chance, and what is known of the pairs from outside."""

    def __init__(self, join, seed: int, videos: dict[str, list[int]], tries: int):
        self.chance, self.tries, self.deaths = random.Random(seed), tries, 6
        self.join = lambda: join(videos, there=self.done, tries=tries)
        self.done, self.failures = set(), Counter()
        self.workers, self.at_work = [], []

    def run(self):
        while True:
            while len(self.workers) < 3:
                self.workers.append(self.join())
            move = self.chance.random()
            if move < 0.1 and self.deaths:
                self.die()
            elif move < 0.5 and self.at_work:
                self.end()
            elif not self.take() and not self.at_work:
                return

    def die(self):
        self.deaths -= 1
        worker = self.workers.pop(self.chance.randrange(len(self.workers)))
        worker.die()
        self.at_work = [(holder, output) for holder, output in self.at_work if holder is not worker]

    def end(self):
        worker, output = self.at_work.pop(self.chance.randrange(len(self.at_work)))
        if self.chance.random() < 0.4:
            self.failures[output] += 1
            worker.fail(output)
        else:
            self.done.add(output)
            worker.done(output)

    def take(self) -> bool:
        worker = self.chance.choice(self.workers)
        output = worker.take()
        if output is None:
            return False
        assert output not in self.done and self.failures[output] < self.tries
        assert output not in [other for _, other in self.at_work]
        self.at_work.append((worker, output))
        return True


@pytest.mark.parametrize("seed", range(10))
def test_whatever_fails_or_dies_all_end_up_done_or_failed_as_often_as_allowed(join, seed):
    videos, tries = {"a": [5] * 5, "b": [9] * 3, "c": [1], "d": [2, 8, 4]}, 2
    chaos = Chaos(join, seed, videos, tries)
    chaos.run()
    failed = {output for output, times in chaos.failures.items() if times == tries and output not in chaos.done}
    assert chaos.done | failed == set(sizes_of(videos))
    for worker in [*chaos.workers, chaos.join()]:
        assert worker.queue.counts() == (len(chaos.done), len(failed), 0)
        assert {record["output"] for record in worker.queue.failures()} == failed


def test_a_pair_that_another_one_has_done_between_choice_and_claim_is_not_handed_out(join):
    mine, theirs = (join({"a": [3], "b": [2]}) for _ in range(2))
    just_before_claiming(mine, lambda: theirs.done(theirs.take()))
    assert mine.take() == "b0"
    assert mine.leases.held() == {"b0": mine.process.id}
    assert mine.queue.counts() == (1, 0, 1)


def test_a_pair_that_another_one_takes_between_choice_and_claim_is_left_to_it(join):
    mine, theirs = (join({"a": [3], "b": [2]}) for _ in range(2))
    just_before_claiming(mine, lambda: theirs.take())
    assert mine.take() == "b0"
    assert mine.leases.held() == {"a0": theirs.process.id, "b0": mine.process.id}


def test_a_process_that_comes_later_sees_what_was_done_and_is_at_work(join):
    videos = {"a": [5], "b": [4], "c": [3]}
    first = join(videos)
    first.done(first.take())
    first.take()
    assert join(videos, there={"a0"}).take() == "c0"


# Their order


def test_videos_with_much_to_do_come_first_and_large_pairs_of_a_video(join):
    worker = join({"small": [1], "large": [9], "several": [3, 5, 4], "middle": [6]})
    assert worker.take_all() == ["several1", "several2", "several0", "large0", "middle0", "small0"]


def test_what_is_alike_comes_in_the_order_of_the_list(join):
    assert join({"b": [1, 1], "a": [1, 1], "c": [0, 0]}).take_all() == ["b0", "b1", "a0", "a1", "c0", "c1"]


def test_pairs_of_one_video_go_to_one_process_while_the_others_have_something_else(join):
    videos = {"a": [3] * 4, "b": [2] * 3, "c": [1] * 4}
    one, two = join(videos), join(videos)
    taken = {one: [one.take()], two: [two.take()]}
    for worker in [one, two] * 3:
        taken[worker].append(worker.take())
        worker.done(taken[worker][-2])
    assert taken == {one: ["a0", "a1", "a2", "a3"], two: ["b0", "b1", "b2", "c0"]}


def test_several_pairs_at_a_time_are_of_one_video_as_well(join):
    one, two = (join({"a": [3] * 3, "b": [2] * 3}) for _ in range(2))
    assert [one.take(), two.take(), one.take(), two.take()] == ["a0", "b0", "a1", "b1"]


def test_pairs_of_the_others_videos_are_for_those_who_have_nothing_else(join):
    one, two = (join({"a": [3] * 4, "b": [2]}) for _ in range(2))
    assert one.take() == "a0" and two.take_all() == ["b0", "a1", "a2", "a3"]
    assert one.take() is None
    one.done("a0")
    assert one.queue.counts() == two.queue.counts() == (5, 0, 0)


def test_who_loses_a_pair_to_another_one_goes_to_another_video(join):
    mine, theirs = (join({"a": [3] * 3, "b": [2]}) for _ in range(2))
    just_before_claiming(mine, lambda: theirs.take())
    assert mine.take() == "b0"


def test_all_open_pairs_come_in_the_order_of_a_process_alone(join):
    worker = join({"small": [1], "large": [9], "several": [3, 5, 4]})
    worker.fail(worker.take())
    worker.done(worker.take())
    other = join({"small": [1], "large": [9], "several": [3, 5, 4]}, there={"several2"})
    other.take()
    assert [pair.output for pair in worker.queue.open_pairs()] == ["several0", "large0", "small0", "several1"]


# Failures


def test_what_failed_comes_last_and_is_closed_after_its_tries(join):
    worker, taken = join({"a": [9], "b": [2], "c": [1]}, tries=3), []
    while output := worker.take():
        taken.append(output)
        (worker.fail if output == "a0" else worker.done)(output)
    assert taken == ["a0", "b0", "c0", "a0", "a0"]
    assert worker.queue.counts() == (2, 1, 0)


def test_what_failed_comes_after_what_others_videos_offer(join):
    one, two = (join({"a": [9, 1], "b": [2, 2]}) for _ in range(2))
    assert [one.take(), one.take(), two.take()] == ["a0", "a1", "b0"]
    one.fail("a0")
    one.done("a1")
    assert one.take_all() == ["b1", "a0"]


def test_without_retries_a_failure_is_for_good(join):
    worker = join({"a": [2]}, tries=1)
    worker.fail(worker.take())
    assert worker.take() is None and worker.queue.counts() == (0, 1, 0)


def test_what_succeeds_in_the_end_is_done(join):
    worker = join({"a": [2]})
    worker.fail(worker.take())
    worker.done(worker.take())
    assert worker.queue.counts() == (1, 0, 0) and worker.queue.failures() == []


def test_failures_of_all_processes_count(join):
    one, two, three = (join({"a": [2]}, tries=2) for _ in range(3))
    one.fail(one.take())
    assert [worker.queue.counts() for worker in (one, two, three)] == [(0, 0, 1)] * 3
    two.fail(two.take())
    assert three.take() is None
    assert [worker.queue.counts() for worker in (one, two, three)] == [(0, 1, 0)] * 3


def test_failures_of_the_past_count(join, tmp_path):
    log_past(tmp_path, "before", FAILED, "a0", "a0", "b0")
    worker = join({"a": [3], "b": [2], "c": [1]})
    assert worker.queue.counts() == (0, 1, 2)
    assert worker.take() == "c0"
    worker.fail(worker.take())
    assert worker.queue.counts() == (0, 2, 1)


def test_more_tries_than_in_the_past_are_made(join, tmp_path):
    log_past(tmp_path, "before", FAILED, "a0", "a0")
    assert join({"a": [3]}, tries=2).take() is None
    assert join({"a": [3]}, tries=3).take() == "a0"


def test_failures_of_the_past_can_be_forgiven(join, tmp_path):
    log_past(tmp_path, "before", FAILED, "a0", "a0", "b0")
    before = join({"a": [3], "b": [2]}).queue.failures_by_output()
    assert before == {"a0": 2, "b0": 1}
    worker = join({"a": [3], "b": [2]}, forgiven=before)
    assert worker.queue.counts() == (0, 0, 2)
    for output in ("a0", "b0"):
        assert worker.take() == output
        worker.fail(output)
    assert worker.queue.counts() == (0, 0, 2)
    worker.fail(worker.take())
    assert worker.queue.counts() == (0, 1, 1)


# What was left by others


def test_an_output_that_is_not_there_any_more_is_made_again(join, tmp_path):
    log_past(tmp_path, "before", DONE, "a0", "b0")
    worker = join({"a": [3], "b": [2]}, there={"b0"})
    assert worker.queue.counts() == (1, 0, 1)
    assert worker.take_all() == ["a0"]
    assert worker.queue.counts() == (2, 0, 0)


def test_an_output_that_took_all_its_tries_and_is_not_there_any_more_is_made_again(join, tmp_path):
    log_past(tmp_path, "before", FAILED, "a0")
    log_past(tmp_path, "before", DONE, "a0")
    assert join({"a": [3]}, tries=1).take() == "a0"


def test_what_a_dead_process_left_comes_last(join):
    videos = {"a": [9], "b": [2], "c": [1]}
    dead = join(videos)
    assert dead.take() == "a0"
    dead.die()
    worker = join(videos)
    assert worker.take_all() == ["b0", "c0", "a0"]
    assert worker.leases.all_keys() == set()


def test_what_a_process_leaves_while_others_are_at_work_is_handed_out(join):
    dying, worker = (join({"a": [9], "b": [2]}) for _ in range(2))
    dying.take()
    assert worker.take() == "b0" and worker.take() is None
    dying.die()
    assert worker.take() == "a0"


def test_what_a_dead_process_has_recorded_is_done_though_its_claim_is_left(join):
    dead = join({"a": [9], "b": [2]})
    dead.log.append(record_of(dead.take(), DONE))
    dead.die()
    worker = join({"a": [9], "b": [2]}, there={"a0"})
    assert worker.queue.counts() == (1, 0, 1)
    assert worker.take_all() == ["b0"]


# What is known


def test_the_last_records_are_told_also_of_outputs_of_another_list(join, tmp_path):
    log_past(tmp_path, "before", DONE, "z9")
    log_past(tmp_path, "before", FAILED, "a0", "a0", "b0")
    worker = join({"b": [3], "a": [2]}, tries=2)
    assert [(record["output"], record["status"]) for record in worker.queue.records()] == [
        ("a0", FAILED), ("b0", FAILED), ("z9", DONE),
    ]  # fmt: skip
    assert [record["output"] for record in worker.queue.failures()] == ["a0"]
    worker.done(worker.take())
    records = list(worker.queue.records())
    assert [(record["output"], record["status"]) for record in records] == [("a0", FAILED), ("b0", DONE), ("z9", DONE)]
    assert worker.queue.failures() == records[:1]
    assert [worker.queue.has_record(output) for output in ("a0", "b0", "b1", "z9")] == [True, True, False, True]


def test_who_need_not_tell_records_knows_failures_all_the_same(join, tmp_path):
    log_past(tmp_path, "before", DONE, "a0")
    log_past(tmp_path, "before", FAILED, "b0", "b0")
    one, other = (
        join({"a": [3], "b": [2], "c": [1]}, there={"a0"}, keep_done=keep_done) for keep_done in (False, True)
    )
    assert one.queue.counts() == other.queue.counts() == (1, 1, 1)
    assert one.queue.failures() == other.queue.failures()
    assert one.take_all() == ["c0"]


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_of_two_processes_records_the_later_one_counts(join, tmp_path, names):
    log_past(tmp_path, names[0], FAILED, "a0")
    log_past(tmp_path, names[1], DONE, "a0")
    worker = join({"a": [3]}, there={"a0"})
    assert worker.queue.counts() == (1, 0, 0)
    assert [record["status"] for record in worker.queue.records()] == [DONE]


def test_what_is_done_stays_so_where_a_slower_process_fails(join):
    slow, worker = (join({"a": [3]}) for _ in range(2))
    slow.take()
    worker.log.append(record_of("a0", DONE))
    assert worker.queue.counts() == (1, 0, 0)
    slow.fail("a0")
    assert slow.queue.counts() == worker.queue.counts() == (1, 0, 0)
    assert [record["status"] for record in worker.queue.records()] == [DONE]


def test_a_record_of_no_output_does_no_harm(join, tmp_path):
    Journal(tmp_path, "stray").append({"something": "else"})
    log_past(tmp_path, "before", DONE, "a0")
    worker = join({"a": [3], "b": [2]}, there={"a0"})
    assert [record["output"] for record in worker.queue.records() if "output" in record] == ["a0"]
    assert worker.take_all() == ["b0"]


# Size


@pytest.mark.parametrize("status", [DONE, FAILED])
@pytest.mark.parametrize(
    "videos", [{"a": [1] * 20_000}, {f"{index}-": [1] for index in range(20_000)}], ids=["one video", "one each"]
)
def test_20_000_pairs(join, tmp_path, videos, status):
    def log(process_id, part):
        (tmp_path / "results").mkdir(exist_ok=True)
        lines = [json.dumps(record_of(output, status)) + "\n" for output in part]
        (tmp_path / "results" / f"{process_id}.jsonl").write_text("".join(lines))

    outputs = list(sizes_of(videos))
    log("past", outputs[:10_000])
    worker = join(videos, there=outputs[:10_000], tries=1)
    assert [worker.take() for _ in range(3)] == outputs[10_000:10_003]
    log("present", outputs[10_003:19_900])
    for output in outputs[10_000:10_003]:
        worker.done(output)
    assert worker.take_all() == outputs[19_900:]
    assert sum(worker.queue.counts()[:2]) == 20_000 and worker.queue.counts()[2] == 0
    assert sum(1 for _ in worker.queue.records()) == 20_000
