import threading

import pytest

from diff2lip_diffusers.lipsync import stage_timer
from diff2lip_diffusers.lipsync.stage_timer import StageTimer


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves."""
    now = [0.0]
    monkeypatch.setattr(stage_timer.time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_an_inner_stage_stops_the_outer_ones_clock(clock):
    timer = StageTimer()
    with timer.stage("outer"):
        clock(1)
        with timer.stage("inner"):
            clock(10)
        clock(2)
    clock(100)
    assert dict(timer.seconds) == {"outer": 3, "inner": 10}


def test_items_are_timed_where_they_are_made_not_where_they_are_used(clock):
    timer = StageTimer()

    def source():
        for _ in range(3):
            clock(1)
            yield "item"

    def worked(items):
        for item in items:
            clock(10)
            yield item

    for _ in timer.each("work", worked(timer.each("make", source()))):
        clock(100)
    assert dict(timer.seconds) == {"make": 3, "work": 30}


def test_a_stage_that_fails_is_counted_and_left(clock):
    timer = StageTimer()
    with pytest.raises(OSError), timer.stage("a"):
        clock(1)
        raise OSError
    clock(5)
    with timer.stage("b"):
        clock(2)
    assert dict(timer.seconds) == {"a": 1, "b": 2}


def test_threads_do_not_stop_each_others_clocks():
    timer = StageTimer()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with timer.stage("other"):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(5)
    with timer.stage("mine"):
        pass
    assert "other" not in timer.seconds
    leave.set()
    thread.join()
    assert set(timer.seconds) == {"mine", "other"} and min(timer.seconds.values()) >= 0
