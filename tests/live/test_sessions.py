"""Live sessions on a clock moved by hand: sound and picture together, whatever comes in."""

import tracemalloc

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from helpers.live_faces import FPS, demo_idle_clip, gray_of, loudness_pipeline, manual_engine, play, seen_gray, words

from diff2lip_diffusers.live import QueueFullError, SessionRefusedError


@pytest.fixture(scope="module")
def pipe():
    return loudness_pipeline()


@pytest.fixture(scope="module")
def idle(pipe):
    clip = demo_idle_clip(pipe)
    with manual_engine(pipe, clip).open_session() as session:  # paints the mouth at rest
        assert session.is_open
    return clip


@pytest.fixture
def engine(pipe, idle):
    return manual_engine(pipe, idle)


def spoken(frames):
    return [frame for frame in frames if frame.is_speech]


def sound_of(frames) -> np.ndarray:
    return np.concatenate([frame.sound for frame in frames])


def expected_gray(pipe, samples, rate, count) -> np.ndarray:
    return gray_of(pipe.feature_extractor(samples, rate, 25, num_frames=count).mel_windows).numpy()


def test_the_mouth_follows_the_speech_and_the_sound_is_the_speech(engine, pipe, idle):
    samples = words(2.0)
    with engine.open_session(rests=False) as session:
        session.push_audio(samples, 16000)
        session.flush()
        frames = list(play(engine, session, 3))
    assert [frame.number for frame in frames] == list(range(75))
    heard = spoken(frames)
    assert len(heard) == 50 and len({frame.number - index for index, frame in enumerate(heard)}) == 1
    np.testing.assert_array_equal(sound_of(heard), samples)
    assert heard[0].number <= 3
    seen = np.array([seen_gray(frame, idle) for frame in heard])
    expected = expected_gray(pipe, samples, 16000, 50)
    lags = [np.corrcoef(seen[5 + lag : 45 + lag], expected[5:45])[0, 1] for lag in range(-4, 5)]
    assert np.argmax(lags) == 4 and max(lags) > 0.99
    ends = [frame.number for frame in frames if frame.ends_segment]
    assert ends == [heard[-1].number + 1]
    assert not session.stats.num_late and not session.stats.num_skipped


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 48000])
def test_other_sampling_rates(engine, pipe, idle, rate):
    samples = words(1.0, rate)
    with engine.open_session(rests=False) as session:
        session.push_audio(samples, rate)
        session.flush()
        heard = spoken(play(engine, session, 1.5))
    np.testing.assert_array_equal(sound_of(heard), samples)
    assert {frame.sampling_rate for frame in heard} == {rate}
    seen = [seen_gray(frame, idle) for frame in heard]
    assert np.corrcoef(seen, expected_gray(pipe, samples, rate, 25))[0, 1] > 0.98


def test_the_size_of_chunks_does_not_matter(engine):
    samples, results = words(30.0), []
    for size in (16, 480_000):
        with engine.open_session() as session:
            chunks = [samples[start : start + size] for start in range(0, 16000 if size == 16 else 480_000, size)]
            for chunk in chunks:
                session.push_audio(chunk, 16000)
            results.append(spoken(play(engine, session, 0.7)))
    assert len(results[0]) > 12
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
        np.testing.assert_array_equal(one.sound, other.sound)


def test_a_live_speaker_is_answered_within_400_ms_and_the_lookahead_is_kept(engine):
    samples = words(4.0)
    with engine.open_session(max_delay_s=0.6) as session:

        def feed(time_s):
            session.push_audio(samples[round(time_s * 16000) : round((time_s + 0.02) * 16000)], 16000)

        frames = list(play(engine, session, 4, feed, tick_s=0.02))
    stats = session.stats
    heard = spoken(frames)
    assert len(heard) > 85 and stats.num_late == 0
    np.testing.assert_array_equal(sound_of(heard), samples[: len(sound_of(heard))])
    assert 0.17 <= session.lookahead_s <= stats.latency_p50_s <= 0.4
    assert stats.latency_p99_s <= 0.4
    assert stats.jitter_p99_s <= 0.021


def test_interrupt_stops_the_mouth_with_the_next_frame(engine, idle):
    with engine.open_session() as session:
        session.push_audio(words(5.0), 16000)
        assert all(frame.is_speech for frame in list(play(engine, session, 1))[-10:])
        session.interrupt()
        after = list(play(engine, session, 1))
        assert not any(frame.is_speech for frame in after) and not session.is_speaking
        for frame in after:
            np.testing.assert_array_equal(frame.picture, idle.at(frame.number).at_rest())
        session.push_audio(words(0.5, seed=2), 16000)
        session.flush()
        np.testing.assert_array_equal(sound_of(spoken(play(engine, session, 1)))[:8000], words(0.5, seed=2))


def test_starved_speech_ends_at_rest_and_goes_on_later(engine):
    with engine.open_session() as session:
        session.push_audio(words(0.5), 16000)
        first = list(play(engine, session, 11))
        session.push_audio(words(0.5, seed=1), 16000)
        second = list(play(engine, session, 1.5))
        numbers = [frame.number for frame in first + second]
    assert len(spoken(first)) == 13 and not spoken(first[30:])
    np.testing.assert_array_equal(sound_of(spoken(second))[:8000], words(0.5, seed=1))
    assert numbers == list(range(len(numbers)))
    assert abs(session.stats.sound_ahead_s) < 0.001 and abs(session.stats.clock_drift_s) < 0.041


def test_the_mouth_rests_in_silence_without_being_painted(engine, idle, monkeypatch):
    painted = []
    monkeypatch.setattr(engine._painter, "faces", _counting(engine._painter.faces, painted))
    with engine.open_session() as session:
        session.push_audio(np.concatenate([words(0.6), np.zeros(16000, np.float32), words(0.6)]), 16000)
        session.flush()
        heard = spoken(play(engine, session, 3))
    assert len(heard) == 55
    for frame in heard[18:34]:
        np.testing.assert_array_equal(frame.picture, idle.at(frame.number).at_rest())
    assert any((frame.picture != idle.at(frame.number).at_rest()).any() for frame in heard[40:])
    assert sum(painted) < 45


def _counting(faces, counts):
    def counted(crops, windows):
        counts.append(len(crops))
        return faces(crops, windows)

    return counted


def test_a_late_frame_shows_the_picture_before_and_its_own_sound(engine):
    samples = words(2.0)
    with engine.open_session() as session:
        session.push_audio(samples, 16000)
        frames = list(play(engine, session, 0.4))
        session.plan()  # the painter is busy from now on
        for _ in range(10):
            frames.append(session.take())
            engine.clock.advance(0.04)
        late = [frame for frame in frames if frame.is_late]
    assert 0 < len(late) == session.stats.num_late
    np.testing.assert_array_equal(late[0].picture, frames[late[0].number - 1].picture)
    np.testing.assert_array_equal(sound_of(spoken(frames)), samples[: len(sound_of(spoken(frames)))])


def speak_in_real_time(engine, session, num_ms: int, paint_s: float, begin_ms: int = 0, packet_ms: int = 60) -> None:
    """Speech in packets, and four painters that take so long for a frame, millisecond by millisecond."""
    samples, clock, in_work = words(num_ms / 1000 + 1, seed=begin_ms), engine.clock, []
    engine._paint_s = paint_s
    for now_ms in range(num_ms):
        place = now_ms - begin_ms
        if place >= 0 and place % packet_ms == 0:
            session.push_audio(samples[place * 16 : (place + packet_ms) * 16], 16000)
        for frame, done_s in in_work:
            if clock.now() >= done_s:
                session.deliver(frame, frame.shown.at_rest())
        in_work = [(frame, done_s) for frame, done_s in in_work if frame.picture is None]
        for frame in session.plan()[: 4 - len(in_work)]:
            frame.is_taken = True
            in_work.append((frame, clock.now() + paint_s))
        session.take()
        clock.advance(0.001)


@pytest.mark.parametrize("begin_ms", [0, 13, 26, 39])
def test_speech_in_packets_is_painted_in_time(engine, begin_ms):
    with engine.open_session(rests=False) as session:
        speak_in_real_time(engine, session, 2500, 0.06, begin_ms)
        assert session.stats.num_late == 0
        assert session.stats.num_speech > 45 and session.stats.latency_p99_s < 0.4


def test_painters_that_become_slower_are_given_more_time(engine):
    with engine.open_session(rests=False) as session:
        speak_in_real_time(engine, session, 600, 0.02)
        assert session.stats.num_late == 0
        speak_in_real_time(engine, session, 3000, 0.15)
        assert 0 < session.stats.num_late < 12
        assert session.stats.num_speech > 70 and abs(session.stats.sound_ahead_s) < 0.001


def test_a_reader_that_stops_loses_frames_but_not_the_time(engine):
    samples = words(6.0)
    with engine.open_session() as session:
        session.push_audio(samples, 16000)
        before = list(play(engine, session, 1))
        for _ in range(50):
            while engine.step():
                pass
            assert len(session._planned) < 30
            engine.clock.advance(0.04)
        after = list(play(engine, session, 1))
    stats = session.stats
    assert after[0].number - before[-1].number - 1 == stats.num_skipped >= 44
    assert abs(stats.clock_drift_s) < 0.041 and after[-1].latency_s < 0.4


def test_a_live_source_that_is_too_fast_is_cut_and_no_queue_grows(engine):
    samples = words(0.05)
    with engine.open_session(max_delay_s=0.5) as session:
        for _ in play(engine, session, 5, lambda _time_s: session.push_audio(samples, 16000)):
            assert session.queued_s < 0.6
        assert 0.5 < session.stats.skipped_speech_s < 1.3


def test_what_cannot_be_spoken_is_refused_in_one_line(engine):
    with engine.open_session(max_queue_s=5) as session:
        for samples, rate, words_of_error in [
            (np.array([0.0, np.inf]), 16000, "not finite"),
            (np.zeros((3, 4, 5)), 16000, "`audio` has shape"),
            (np.zeros(100), 7000, "`sampling_rate` is 7000"),
            (np.zeros(100), 44056, "`sampling_rate` is 44056"),
            (np.zeros(100), None, "`sampling_rate` is missing"),
            (b"abcd", 16000, "`audio` is of type bytes"),
            (np.full(100, 1e30), 16000, r"`audio` has values up to 1e\+30"),
        ]:
            with pytest.raises(ValueError, match=words_of_error):
                session.push_audio(samples, rate)
        session.push_audio(np.zeros(0, np.float32), 16000)
        session.push_audio(words(4), 16000)
        with pytest.raises(QueueFullError, match="4.0 s wait to be spoken, and 5 s are the limit"):
            session.push_audio(words(2), 16000)
        with pytest.raises(SessionRefusedError, match="carries 1 session at 25 frames/s, all in use"):
            engine.open_session()
    with pytest.raises(ValueError, match="the session is closed"):
        session.push_audio(words(1), 16000)
    engine.open_session().close()


def test_sessions_share_a_batch_and_do_not_disturb_each_other(pipe, idle):
    alone = manual_engine(pipe, idle, sessions=3)
    with alone.open_session() as session:
        session.push_audio(words(1.0), 16000)
        expected = spoken(play(alone, session, 0.8))
    engine, batches = manual_engine(pipe, idle, sessions=3), []
    sessions = [engine.open_session() for _ in range(3)]
    engine._painter.faces = _counting(engine._painter.faces, batches)
    sessions[0].push_audio(words(1.0), 16000)
    for number, session in enumerate(sessions[1:]):
        session.push_audio(words(1.0, 48000, seed=number), 48000)
    frames = []
    for frame in play(engine, sessions[0], 0.8):
        frames.append(frame)
        for session in sessions[1:]:
            session.take()
    assert max(batches) == 3
    for one, other in zip(spoken(frames), expected, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)


def a_bad_client(engine, session) -> None:
    """Chunks of 1 ms and of 30 s, all rates, garbage, a pause of 10 s, and 10 s in which nobody reads: 65 s in all."""
    quarter = iter(range(10_000))

    def a_millisecond_at_a_time(_time_s):
        number = next(quarter)
        rate = (8000, 16000, 22050, 48000)[number // 60 % 4]
        for sound in np.array_split(words(0.04, rate, seed=number % 7), 40):
            session.push_audio(sound, rate)
        with pytest.raises(ValueError, match=r"not finite|`sampling_rate` is"):
            session.push_audio(np.full(100, np.nan), (16000, 7)[number % 2])

    for _ in play(engine, session, 10, a_millisecond_at_a_time):
        pass
    session.push_audio(words(30.0), 16000)
    for _ in play(engine, session, 35):  # with the end of what came before
        pass
    for number in range(250):
        session.push_audio(words(0.04, seed=number % 7), 16000)
        while engine.step():
            pass
        engine.clock.advance(0.04)
    for _ in play(engine, session, 10):
        pass


@pytest.mark.slow
def test_a_bad_client_makes_nothing_grow_or_drift(engine):
    with engine.open_session() as session:
        a_bad_client(engine, session)
        tracemalloc.start()
        try:
            a_bad_client(engine, session)
            before, num_frames = tracemalloc.get_traced_memory()[0], session.stats.num_frames
            a_bad_client(engine, session)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        stats = session.stats
        assert grown < 1e6 and stats.num_frames - num_frames > 1300
        assert stats.queued_s == 0 and not session.is_speaking and stats.num_late == 0
        assert abs(stats.sound_ahead_s) < 0.001 and abs(stats.clock_drift_s) < 0.041
        assert 3 * 240 <= stats.num_skipped <= 3 * 250


def minutes_of_speech(engine, idle, minutes: int, seconds: int = 60):
    """Pushes speech, a second at a time, and returns the session and its pictures' gray by second of the end."""
    samples, grays = words(60.0), []
    with engine.open_session(rests=False) as session:
        for minute in range(minutes):
            second = iter(range(seconds))

            def feed(time_s, minute=minute, second=second):
                if round(time_s / 0.04) % 25 == 0:
                    number = next(second)
                    early = 16000 * (number == minute == 0)  # a second ahead, so that it never starves
                    session.push_audio(samples[16000 * number : 16000 * (number + 1) + early], 16000)

            for frame in play(engine, session, seconds, feed):
                if minute == minutes - 1:
                    grays.append((frame, seen_gray(frame, idle)))
    return session, grays


def check_no_drift(session, grays, pipe):
    stats = session.stats
    assert stats.num_late == stats.num_skipped == 0
    assert abs(stats.sound_ahead_s) <= 0.001 and abs(stats.clock_drift_s) <= 0.041
    seen = np.array([gray for _, gray in grays])
    sound = sound_of([frame for frame, _ in grays])
    expected = expected_gray(pipe, sound, 16000, len(seen))
    lags = [np.corrcoef(seen[50 + lag : -50 + lag], expected[50:-50])[0, 1] for lag in range(-3, 4)]
    assert np.argmax(lags) == 3 and max(lags) > 0.99


def test_sound_and_picture_are_together_after_seconds(engine, pipe, idle):
    check_no_drift(*minutes_of_speech(engine, idle, 1, seconds=12), pipe)


@pytest.mark.slow
def test_sound_and_picture_are_together_after_an_hour_and_memory_is_flat(engine, pipe, idle):
    import psutil

    minutes_of_speech(engine, idle, 2)
    before = psutil.Process().memory_info().rss
    check_no_drift(*minutes_of_speech(engine, idle, 60), pipe)
    assert psutil.Process().memory_info().rss - before < 50e6


def test_pictures_are_those_of_the_pipeline(small_pipe, idle):
    clip = demo_idle_clip(small_pipe, 4)
    engine, samples = manual_engine(small_pipe, clip), words(0.4)
    with engine.open_session(rests=False) as session:
        session.push_audio(samples, 16000)
        session.flush()
        heard = spoken(play(engine, session, 0.7))
    shown = [clip.at(frame.number) for frame in heard]
    faces = small_pipe(
        np.stack([one.crop for one in shown]),
        samples,
        fps=FPS,
        num_inference_steps=2,
        scheduler=DDIMScheduler.from_config(small_pipe.scheduler.config, timestep_spacing="trailing"),
        batch_size=1,
        generator=torch.Generator().manual_seed(7),
        output_type="np",
    ).frames
    for frame, one, face in zip(heard, shown, faces, strict=True):
        np.testing.assert_array_equal(frame.picture, engine._painter.composited(one, face))
