"""The face in a pipeline of Pipecat: speaks a sentence, is interrupted, and goes silent."""

import asyncio

import numpy as np
import pytest
from helpers.live_faces import demo_idle_clip, loudness_pipeline, manual_engine, moving_time, words

frames = pytest.importorskip("pipecat.frames.frames")

RATE = 16000


@pytest.fixture(scope="module")
def engine():
    pipe = loudness_pipeline()
    return manual_engine(pipe, demo_idle_clip(pipe))


async def run(engine, sent: list, sleeps_s: dict[int, float]):
    """What comes out of a pipeline with the face when these frames go in; pauses come before some of them."""
    from pipecat.tests.utils import SleepFrame, run_test

    from diff2lip_diffusers.integrations.pipecat import Diff2LipVideoProcessor

    session = engine.open_session()
    with_pauses = []
    for number, frame in enumerate(sent):
        with_pauses += [SleepFrame(sleep=sleeps_s[number])] if number in sleeps_s else []
        with_pauses.append(frame)
    async with moving_time(engine, session):
        face = Diff2LipVideoProcessor(session)
        down, _ = await run_test(face, frames_to_send=with_pauses, start_timeout=60)
    assert not session.is_open
    return down


def speech(said: np.ndarray, size: int = RATE // 50) -> list:
    data = (said * 32768).astype(np.int16)
    chunks = [data[start : start + size].tobytes() for start in range(0, len(data), size)]
    return [frames.TTSAudioRawFrame(audio=chunk, sample_rate=RATE, num_channels=1) for chunk in chunks]


def sound_of(down) -> np.ndarray:
    heard = [np.frombuffer(frame.audio, np.int16) for frame in down if isinstance(frame, frames.TTSAudioRawFrame)]
    return np.concatenate([np.zeros(0, np.int16), *heard])


def test_a_sentence_is_spoken_with_its_pictures(engine):
    said = words(1.0)
    down = asyncio.run(run(engine, [*speech(said), frames.TTSStoppedFrame()], {}))
    np.testing.assert_array_equal(sound_of(down)[: len(said)], (said * 32768).astype(np.int16))
    kinds = [type(frame).__name__ for frame in down]
    for number, kind in enumerate(kinds):
        if kind == "TTSAudioRawFrame":
            assert kinds[number - 1] == "OutputImageRawFrame" and down[number - 1].sync_with_audio
    assert kinds.index("TTSStoppedFrame") > max(n for n, kind in enumerate(kinds) if kind == "TTSAudioRawFrame")
    picture = next(frame for frame in down if isinstance(frame, frames.OutputImageRawFrame))
    assert picture.size == (engine.source.width, engine.source.height) and picture.format == "RGB"


def test_an_interruption_silences_the_face(engine):
    down = asyncio.run(run(engine, [*speech(words(30.0), RATE), frames.InterruptionFrame()], {30: 0.5}))
    kinds = [type(frame).__name__ for frame in down]
    after = kinds[kinds.index("InterruptionFrame") :]
    assert after.count("TTSAudioRawFrame") <= 1
    assert len(sound_of(down)) < 29 * RATE


def test_garbage_is_one_error_and_the_pipeline_goes_on(engine):
    odd = frames.TTSAudioRawFrame(audio=b"\0\0\0", sample_rate=RATE, num_channels=1)
    down = asyncio.run(run(engine, [odd, *speech(words(0.4))], {}))
    assert len(sound_of(down)) >= 0.4 * RATE
