"""One person at the page: a session of the engine, the connection to the browser, and what the face shall say."""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...corpus.espeak import Utterance
from ...errors import Diff2LipError
from ...portable.resampling_diff2lip import resample
from ..pacing import paced_frames
from ..refusals import QueueFullError
from ..session import LiveSession
from .connection import Connection
from .settings import SOUND_HZ, PageSettings

logger = logging.getLogger(__name__)

KEY_BYTES = 24
# Sound of a microphone below this level, of full scale, is nobody speaking.
SPEAKING_LEVEL = 0.01
# The meter shows the median of so many frames of speech, no older than so many seconds.
METER_FRAMES, METER_S = 50, 3.0
# Sound of a microphone comes so late: a packet of 20 ms is sent when it is full, and aiortc keeps four back.
MICROPHONE_S = 0.1


class Conversation:
    """A face on one person's page; it survives lost connections.

    Args:
        session: of the engine.
        settings: of the page.
        addresses: of this machine that browsers may use; None for all.

    Attributes:
        key: who knows it may use the session.
    """

    def __init__(self, session: LiveSession, settings: PageSettings, addresses: Sequence[str] | None):
        self.key = secrets.token_urlsafe(KEY_BYTES)
        self._session, self._settings, self._addresses = session, settings, addresses
        self._connection: Connection | None = None
        self._changing = asyncio.Lock()
        self._giving: asyncio.Task | None = None
        self._closing: asyncio.Task | None = None
        self._is_reading = False  # a text is being said; the microphone waits for its end
        self._failure: str | None = None
        self._delays: deque[tuple[float, float]] = deque(maxlen=METER_FRAMES)
        self._last_connected = self._last_spoken = _now()

    async def connect(self, offer: str) -> str:
        """Connects to a browser, in place of the connection before; returns the answer to its offer.

        Raises:
            Diff2LipError: if the offer cannot be used; the connection before stays then.
        """
        async with self._changing:
            connection = Connection(self._session.fps, self._addresses, self.hear, self._look)
            try:
                answer = await connection.answer(offer)
            except BaseException:
                await connection.close()
                raise
            before, self._connection = self._connection, connection
            self._last_connected = _now()
            if before is not None:
                await before.close()
            return answer

    def hear(self, samples: np.ndarray, sampling_rate: int) -> None:
        """Takes sound of the microphone, (T, C) int16; while a text is being said, it is left out."""
        if self._is_reading or not self._session.is_open:
            return
        self._session.max_delay_s = self._settings.max_delay_s
        if np.abs(samples).max(initial=0) > SPEAKING_LEVEL * 32768:
            self._last_spoken = _now()
        try:
            self._session.push_audio(samples, sampling_rate)
        except (QueueFullError, ValueError) as error:
            logger.warning("sound of a microphone was left out: %s", error)

    def say(self, utterance: Utterance) -> None:
        """Says a text after those before it.

        Raises:
            QueueFullError: if too many wait.
        """
        samples = resample(torch.from_numpy(utterance.samples), utterance.sampling_rate, SOUND_HZ)
        self._session.max_delay_s = None  # every word is said
        self._session.push_audio(samples, SOUND_HZ)
        self._session.flush()
        self._is_reading = True
        self._last_spoken = _now()

    def interrupt(self) -> None:
        """Stops the face at once."""
        self._session.interrupt()
        self._is_reading = False

    @property
    def is_open(self) -> bool:
        """Whether it still has its place."""
        return self._session.is_open

    @property
    def overdue(self) -> str | None:
        """Why the session shall end now; None if it may go on."""
        now = _now()
        if self._failure is not None:
            return self._failure
        if self._is_connected:
            self._last_connected = now
        if self._is_reading:
            self._last_spoken = now
        if now - self._last_connected > self._settings.lost_s:
            return f"The session ended: its connection was lost for {self._settings.lost_s:g} seconds."
        if now - self._last_spoken > self._settings.idle_s:
            return f"The session ended: nobody spoke for {self._settings.idle_s:g} seconds."
        return None

    def report(self) -> dict[str, Any]:
        """What the page's meter shows; times are in seconds."""
        stats = self._session.stats
        recent = [delay for when, delay in self._delays if _now() - when < METER_S]
        return {
            "is_speaking": self._session.is_speaking,
            "delay_s": float(np.median(recent)) if recent else None,
            "delay_p50_s": stats.latency_p50_s,
            "delay_p99_s": stats.latency_p99_s,
            "queued_s": stats.queued_s,
            "fps": float(self._session.fps),
            "num_frames": stats.num_frames,
            "num_late": stats.num_late,
            "num_skipped": stats.num_skipped,
        }

    async def close(self) -> None:
        """Ends the session and its connection; its place is free."""
        self._session.close()
        async with self._changing:
            if self._giving is not None:
                self._giving.cancel()
            if self._connection is not None:
                await self._connection.close()

    @property
    def _is_connected(self) -> bool:
        return self._connection is not None and self._connection.is_open

    def _look(self) -> None:
        """Starts and stops the face when the connection comes and goes."""
        if self._connection is not None and self._connection.is_over:
            self._closing = asyncio.ensure_future(self._connection.close())
            self._connection = None
        if self._is_connected and self._giving is None:
            self._giving = asyncio.ensure_future(self._give())
        elif not self._is_connected and self._giving is not None:
            self._giving.cancel()
            self._giving = None
            self.interrupt()

    async def _give(self) -> None:
        try:
            async for frame in paced_frames(self._session):
                self._is_reading = self._is_reading and self._session.is_speaking
                if frame.latency_s is not None:
                    self._delays.append((_now(), frame.latency_s + (0 if self._is_reading else MICROPHONE_S)))
                if self._connection is not None:
                    self._connection.show(frame)
        except Diff2LipError as error:
            logger.error("a session has ended: %s", error)
            self._failure = "The session ended: the face cannot be painted any more."


def _now() -> float:
    return asyncio.get_running_loop().time()
