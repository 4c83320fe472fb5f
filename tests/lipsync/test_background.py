import threading
import time

import pytest

from diff2lip_diffusers.lipsync.background import Cancelled, Room, WriteBehind, prefetch


def test_items_come_in_order_from_another_thread():
    threads = set()

    def items():
        for index in range(50):
            threads.add(threading.get_ident())
            yield index

    assert list(prefetch(items(), 3)) == list(range(50))
    assert len(threads) == 1 and threading.get_ident() not in threads


@pytest.mark.parametrize("depth", [1, 4])
def test_no_more_than_the_depth_is_made_ahead(depth):
    made = []
    source = (made.append(index) or index for index in range(100))
    for index in prefetch(source, depth):
        time.sleep(0.002)
        assert len(made) <= index + 1 + depth
    assert len(made) == 100


def test_large_items_wait_one_at_a_time():
    made = []
    sizes = [1, 1, 1, 1, 9, 9, 9, 1, 1, 1]
    source = (made.append(size) or size for size in sizes)
    items = prefetch(source, 4, Room(lambda size: size, 4))
    ahead = []
    for index, _ in enumerate(items):
        time.sleep(0.005)
        ahead.append(len(made) - index - 1)
    assert made == sizes and ahead[4:6] == [1, 1] and max(ahead) <= 4


def test_the_consumer_gets_large_items_one_at_a_time():
    waiting = []

    def consume(items):
        for size in items:
            time.sleep(0.005)
            waiting.append(later._waiting.qsize())
            assert size == 9

    with WriteBehind(consume, 4, Room(lambda size: size, 10)) as later:
        for _ in range(10):
            later(9)
    assert len(waiting) == 10 and max(waiting[:8]) == 0  # then the end waits


def test_an_item_that_takes_long_is_given_up():
    stopped = threading.Event()

    def items():
        yield 0
        assert stopped.wait(30)

    source = prefetch(items(), 2, stop=stopped.set)
    assert next(source) == 0
    source.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield from range(3)
        raise OSError("disk")

    taken = []
    with pytest.raises(OSError, match="disk"):
        taken.extend(prefetch(items(), 2))
    source = prefetch(items(), 2)
    assert [next(source) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="disk"):
        next(source)


def test_stopping_early_closes_the_source_and_ends_the_thread():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    source = prefetch(items(), 2)
    assert next(source) == 0
    source.close()
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_items_are_consumed_in_order_and_all_of_them():
    done = []

    def consume(items):
        for item in items:
            time.sleep(0.001)
            done.append(item)

    with WriteBehind(consume, 4) as later:
        for index in range(30):
            later(index)
            assert index + 1 - len(done) <= 4 + 2
    assert done == list(range(30))


def test_an_error_of_the_consumer_is_raised_soon_and_later_items_are_dropped():
    done = []

    def fail_at_five(items):
        for item in items:
            if item == 5:
                raise OSError("full")
            done.append(item)

    with pytest.raises(OSError, match="full"), WriteBehind(fail_at_five, 2) as later:
        for index in range(1000):
            later(index)
            time.sleep(0.001)
        pytest.fail("not raised")
    assert done == [0, 1, 2, 3, 4]


def test_an_error_at_the_end_is_raised():
    def fail(items):
        assert list(items) == [1]
        raise OSError("full")

    with pytest.raises(OSError, match="full"), WriteBehind(fail, 10) as later:
        later(1)


def test_a_consumer_that_stops_early_does_not_block_the_caller():
    with WriteBehind(next, 1) as later:
        for index in range(20):
            later(index)


def test_an_error_in_the_block_cancels_the_consumer():
    done, cleaned_up, gate = [], [], threading.Event()

    def slow(items):
        try:
            for item in items:
                gate.wait(5)
                done.append(item)
        except Cancelled:
            cleaned_up.append(True)
            raise

    with pytest.raises(KeyboardInterrupt), WriteBehind(slow, 10) as later:
        for index in range(5):
            later(index)
        threading.Timer(0.05, gate.set).start()
        raise KeyboardInterrupt
    assert len(done) < 5 and cleaned_up == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("behind")]
