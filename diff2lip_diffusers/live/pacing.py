"""A session in asyncio: frames as they fall due, and speech as there is room for it."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from .live_frame import LiveFrame
from .session import LiveSession

# How long to wait at most before looking again: a session may be closed in the meantime, and clocks may be manual.
LONGEST_WAIT_S, SHORTEST_WAIT_S = 0.02, 0.001
# Long speech is pushed in pieces of this length, so that a queue that is almost full takes a part of it.
PIECE_S = 1.0


async def paced_frames(session: LiveSession) -> AsyncIterator[LiveFrame]:
    """Yields the frames of a session as they fall due, until it is closed."""
    while session.is_open:
        try:
            frame = session.take()
        except ValueError:  # closed in another thread
            return
        if frame is None:
            await asyncio.sleep(min(max(session.wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S))
        else:
            yield frame


async def push_with_room(session: LiveSession, samples: np.ndarray, sampling_rate: int) -> None:
    """Pushes speech; waits while the queue is full, so that a fast speaker is slowed down.

    Args:
        session: takes the speech.
        samples: (T,) or (T, C), as `push_audio` takes them.
        sampling_rate: in Hz.

    Raises:
        ValueError: as `push_audio` does.
    """
    size = max(1, round(PIECE_S * sampling_rate))
    for start in range(0, len(samples), size):
        piece = samples[start : start + size]
        while session.is_open and session.queued_s + len(piece) / sampling_rate > session.max_queue_s:
            await asyncio.sleep(LONGEST_WAIT_S)
        session.push_audio(piece, sampling_rate)


def int16_of(sound: np.ndarray) -> np.ndarray:
    """Sound in [-1, 1] as 16-bit samples; those that were 16-bit before are the same again."""
    return np.round(sound * 32768).clip(-32768, 32767).astype(np.int16)


def samples_of(data: bytes | memoryview, num_channels: int) -> np.ndarray:
    """Interleaved 16-bit samples as (T, C) float32 in [-1, 1].

    Raises:
        ValueError: if they are not whole.
    """
    if num_channels < 1 or len(bytes(data)) % (2 * num_channels):
        raise ValueError(f"`data` has {len(bytes(data))} bytes, expected 16-bit samples of {num_channels} channels")
    return np.frombuffer(data, np.int16).reshape(-1, num_channels).astype(np.float32) / 32768
