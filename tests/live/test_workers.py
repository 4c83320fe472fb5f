"""Several painters: the pictures are those of one painter, in the same order, and a failure ends all."""

import threading
import time

import numpy as np
import pytest
import torch
from helpers.live_faces import demo_idle_clip, loudness_pipeline, manual_engine, play, words

from diff2lip_diffusers import Diff2LipError
from diff2lip_diffusers.live import capacity
from diff2lip_diffusers.live.painting import LivePainting
from diff2lip_diffusers.live.workers import Turns, side_by_side, start_workers

SPEECH_S, FRAMES_S = 0.6, 1.0


@pytest.fixture(scope="module")
def pipe():
    return loudness_pipeline()


@pytest.fixture(scope="module")
def idle(pipe):
    return demo_idle_clip(pipe, 8)


def painted_by_threads(engine):
    """Frames of a started engine; the time goes on when what is planned has been painted."""
    with engine, engine.open_session(rests=False) as session:
        session.push_audio(words(SPEECH_S), 16000)
        session.flush()
        frames = []
        for _ in range(round(FRAMES_S * 25)):
            end = time.monotonic() + 60
            while time.monotonic() < end:
                with engine.lock:
                    if not session.plan() and all(frame.picture is not None for frame in session._planned.values()):
                        break
                time.sleep(0.001)
            frames.append(session.take())
            engine.clock.advance(0.04)
        return frames


@pytest.mark.parametrize("detail", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_painters_side_by_side_give_the_pictures_of_one(pipe, detail):
    settings = LivePainting(detail=detail)
    engine = manual_engine(pipe, demo_idle_clip(pipe, 8), settings=settings)
    with engine.open_session(rests=False) as session:
        session.push_audio(words(SPEECH_S), 16000)
        session.flush()
        expected = list(play(engine, session, FRAMES_S))
    frames = painted_by_threads(manual_engine(pipe, demo_idle_clip(pipe, 8), settings=settings, workers=3))
    assert sum(frame.is_speech for frame in frames) == 15
    for frame, one in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.picture, one.picture)


def test_a_painter_that_fails_ends_the_engine_in_one_line(pipe, idle, monkeypatch):
    manual_engine(pipe, idle).open_session().close()  # paints the mouth at rest
    engine = manual_engine(pipe, idle, workers=2)
    monkeypatch.setattr(engine._painter, "faces", lambda *_: 1 / 0)
    idle_session = engine.open_session()
    with engine:
        idle_session.push_audio(words(0.5), 16000)
        end = time.monotonic() + 60
        while engine.failure is None and time.monotonic() < end:
            time.sleep(0.001)
        with pytest.raises(Diff2LipError, match="the engine has stopped: division by zero; make a new one"):
            idle_session.take()


def test_each_worker_has_one_core_and_other_threads_keep_theirs():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for thread in start_workers(lambda: seen.append(torch.get_num_threads()), 3):
            thread.join()
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [1, 1, 1, 2] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_job_that_fails_is_raised_when_all_threads_have_ended():
    before = threading.active_count()
    assert side_by_side(lambda job: 10 / job, [1, 2, 5, 10], 2) == [10, 5, 2, 1]
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda job: 10 / job, [1, 0, 5], 2)
    assert threading.active_count() == before


def test_turns_are_taken_in_the_order_of_the_numbers():
    turns, order = Turns(), []
    numbers = [turns.draw() for _ in range(6)]

    def take(number):
        with turns.turn(number):
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in reversed(numbers)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert order == numbers


@pytest.mark.parametrize(
    ("batch_s", "fps", "sessions"), [(0.02, 25, 3), (0.05, 25, 1), (0.065, 20, 1), (0.12, 12.5, 1), (0.17, 5, 0)]
)
def test_two_workers_carry_what_they_have_time_for(batch_s, fps, sessions):
    found = capacity._of_workers(batch_s, 2, capacity.RATES, 16)
    assert (found.fps, found.sessions, found.workers) == (fps, sessions, 2)


@pytest.mark.parametrize(
    ("on_one_core_s", "on_all_s", "chosen"),
    [(0.05, 0.03, (2, 1, 25)), (0.3, 0.05, (1, 1, 12.5)), (0.3, 0.2, (2, 1, 5))],
)
def test_single_faces_side_by_side_are_preferred_if_they_are_fast_enough(
    pipe, monkeypatch, on_one_core_s, on_all_s, chosen
):
    monkeypatch.setattr(capacity, "most_workers", lambda _pipe: 2)
    monkeypatch.setattr(
        capacity,
        "_batch_s",
        lambda _pipe, _settings, size, workers=1: size * (on_one_core_s if workers == 2 else on_all_s),
    )
    found = capacity.measure_capacity(pipe)
    assert (found.workers, found.batch_size, found.fps) == chosen
