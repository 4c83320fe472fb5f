"""The face in LiveKit's own runner: speaks a sentence, is interrupted, and goes silent."""

import asyncio

import numpy as np
import pytest
from helpers.live_faces import demo_idle_clip, loudness_pipeline, manual_engine, moving_time, words

rtc = pytest.importorskip("livekit.rtc")
avatar = pytest.importorskip("livekit.agents.voice.avatar")

RATE = 24000


class Sink:
    """Takes what the runner would send to a room."""

    def __init__(self):
        self.frames = []

    async def push(self, frame):
        self.frames.append(frame)

    async def aclose(self):
        pass

    def sound(self) -> np.ndarray:
        heard = [np.frombuffer(frame.data, np.int16) for frame in self.frames if isinstance(frame, rtc.AudioFrame)]
        return np.concatenate([np.zeros(0, np.int16), *heard])

    def pictures(self) -> list:
        return [frame for frame in self.frames if isinstance(frame, rtc.VideoFrame)]


@pytest.fixture(scope="module")
def engine():
    pipe = loudness_pipeline()
    return manual_engine(pipe, demo_idle_clip(pipe))


async def talk(engine, said: np.ndarray, act):
    """Runs LiveKit's runner without a room while `act(receiver, sink)` runs; returns the sink and the events."""
    from diff2lip_diffusers.integrations.livekit import Diff2LipVideoGenerator

    session, receiver, sink, finished = engine.open_session(), avatar.QueueAudioOutput(sample_rate=RATE), Sink(), []
    generator = Diff2LipVideoGenerator(session, RATE)
    receiver.on("playback_finished", finished.append)
    runner = avatar.AvatarRunner(rtc.Room(), audio_recv=receiver, video_gen=generator, options=generator.options)
    runner._video_publication = runner._audio_publication = object()  # nothing is published: there is no server
    await runner._av_sync.aclose()
    runner._av_sync = sink
    await runner.start()
    async with moving_time(engine, session):
        data = (said * 32768).astype(np.int16)
        for start in range(0, len(data), RATE // 50):
            chunk = data[start : start + RATE // 50]
            await receiver.capture_frame(rtc.AudioFrame(chunk.tobytes(), RATE, 1, len(chunk)))
        await act(receiver, sink, finished)
    session.close()
    await runner.aclose()
    return sink, finished


async def until(condition, seconds: float = 60):
    for _ in range(round(seconds / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_a_sentence_is_spoken_and_its_end_reported(engine):
    said = words(1.0, RATE)

    async def act(receiver, _sink, finished):
        receiver.flush()
        await until(lambda: finished)

    sink, finished = asyncio.run(talk(engine, said, act))
    np.testing.assert_array_equal(sink.sound()[: len(said)], (said * 32768).astype(np.int16))
    assert [(round(event.playback_position, 2), event.interrupted) for event in finished] == [(1.0, False)]
    picture = sink.pictures()[0]
    assert (picture.width, picture.height) == (engine.source.width, engine.source.height)
    np.testing.assert_array_equal(
        np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 3), engine.source.at(0).at_rest()
    )


def test_an_interruption_silences_the_face_at_once(engine):
    async def act(receiver, sink, finished):
        await until(lambda: len(sink.sound()) > RATE // 2)
        receiver.clear_buffer()
        await until(lambda: finished)
        heard, count = len(sink.sound()), len(sink.pictures())
        await until(lambda: len(sink.pictures()) > count + 20)
        assert len(sink.sound()) <= heard + RATE // 25

    sink, finished = asyncio.run(talk(engine, words(8.0, RATE), act))
    assert finished[0].interrupted and len(sink.sound()) < 3 * RATE


def test_speech_of_another_rate_is_refused(engine):
    from diff2lip_diffusers.integrations.livekit import Diff2LipVideoGenerator

    with engine.open_session() as session:
        generator = Diff2LipVideoGenerator(session, RATE)
        with pytest.raises(ValueError, match="speech of 16000 Hz came, but `sampling_rate` is 24000"):
            asyncio.run(generator.push_audio(rtc.AudioFrame(bytes(640), 16000, 1, 320)))
