"""The picture and the sound of a face as tracks of a WebRTC connection."""

import asyncio
import math
from collections import deque
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack  # pyright: ignore[reportMissingImports]  # the extra `live`
from aiortc.mediastreams import MediaStreamError  # pyright: ignore[reportMissingImports]

from ..live_frame import LiveFrame
from ..pacing import int16_of
from .settings import SOUND_HZ

PICTURE_HZ = 90_000
# What Opus takes at a time: 20 ms.
PACKET = 960
# Sound that waits longer is left out, oldest first: the connection is too slow.
MAX_PACKETS = 25


class PictureTrack(MediaStreamTrack):
    """Gives the newest picture; one that was not sent before the next came is left out.

    Args:
        fps: frames per second.
    """

    kind = "video"

    def __init__(self, fps: Fraction):
        super().__init__()
        self._fps = fps
        self._newest: LiveFrame | None = None
        self._has_one = asyncio.Event()

    def show(self, frame: LiveFrame) -> None:
        """Takes the next frame."""
        self._newest = frame
        self._has_one.set()

    async def recv(self) -> av.VideoFrame:
        """The next picture, with its time in the session."""
        await self._has_one.wait()
        self._has_one.clear()
        if self.readyState != "live" or self._newest is None:
            raise MediaStreamError
        frame = self._newest
        picture = av.VideoFrame.from_ndarray(_even(frame.picture), format="rgb24")
        picture.pts = math.floor(frame.number * PICTURE_HZ / self._fps)
        picture.time_base = Fraction(1, PICTURE_HZ)
        return picture

    def stop(self) -> None:
        """Ends the track."""
        super().stop()
        self._has_one.set()


class SoundTrack(MediaStreamTrack):
    """Gives the sound of the frames in packets of 20 ms, each when it is due.

    Args:
        fps: frames per second.
    """

    kind = "audio"

    def __init__(self, fps: Fraction):
        super().__init__()
        self._fps = fps
        self._expected = -1
        self._left = np.zeros(0, np.int16)
        self._left_pts = 0
        self._packets: deque[tuple[float, int, np.ndarray]] = deque()
        self._has_one = asyncio.Event()

    def hear(self, frame: LiveFrame) -> None:
        """Takes the sound of the next frame, of 48 kHz; at rest, it is silence of any rate."""
        start, end = (math.floor(number * SOUND_HZ / self._fps) for number in (frame.number, frame.number + 1))
        if frame.number != self._expected:  # frames were skipped, and their sound with them
            self._left, self._left_pts = np.zeros(0, np.int16), start
        self._expected = frame.number + 1
        is_sound = frame.is_speech and len(frame.sound) == end - start
        sound = int16_of(frame.sound) if is_sound else np.zeros(end - start, np.int16)
        now, waited = asyncio.get_running_loop().time(), len(self._left)
        samples = np.concatenate([self._left, sound])
        count = len(samples) // PACKET
        for number in range(count):
            due = now + max(0, number * PACKET - waited) / SOUND_HZ
            packet = samples[number * PACKET : (number + 1) * PACKET]
            self._packets.append((due, self._left_pts + number * PACKET, packet))
        self._left, self._left_pts = samples[count * PACKET :], self._left_pts + count * PACKET
        while len(self._packets) > MAX_PACKETS:
            self._packets.popleft()
        self._has_one.set()

    async def recv(self) -> av.AudioFrame:
        """The next packet, with its time in the session."""
        while not self._packets:
            self._has_one.clear()
            await self._has_one.wait()
            if self.readyState != "live":
                raise MediaStreamError
        due, pts, samples = self._packets.popleft()
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        packet = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        packet.pts, packet.sample_rate, packet.time_base = pts, SOUND_HZ, Fraction(1, SOUND_HZ)
        return packet

    def stop(self) -> None:
        """Ends the track."""
        super().stop()
        self._packets.clear()
        self._has_one.set()


def _even(picture: np.ndarray) -> np.ndarray:
    """A picture of even size, as the codec needs it."""
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height // 2 * 2, : width // 2 * 2])
