"""A live page with a face that shows how loud the speech is, and a client of it that is no browser."""

import asyncio
import re
from contextlib import contextmanager
from fractions import Fraction

import aiohttp
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from diff2lip_diffusers.live import LiveLipSync
from diff2lip_diffusers.live.page.server import serving_live
from diff2lip_diffusers.live.page.settings import PageAddress, PageSettings

from .live_faces import FPS, demo_idle_clip, loudness_pipeline

SOUND_HZ, PACKET = 48_000, 960


@contextmanager
def loudness_page(sessions: int = 1, port: int = 0, **limits):
    """Serves a page on a free port; yields its address, the engine, and its idle clip."""
    pipe = loudness_pipeline()
    clip = demo_idle_clip(pipe)
    engine = LiveLipSync(pipe, clip, FPS, sessions)
    with engine, serving_live(engine, PageSettings(**limits), PageAddress(port=port)) as served:
        yield served.url, engine, clip


class Microphone(MediaStreamTrack):
    """Speaks samples (T,) int16 of 48 kHz in real time, then silence."""

    kind = "audio"

    def __init__(self, samples: np.ndarray):
        super().__init__()
        self._samples, self._place, self._start = samples, 0, None

    async def recv(self) -> av.AudioFrame:
        now = asyncio.get_running_loop().time()
        self._start = self._start or now
        await asyncio.sleep(max(0.0, self._start + self._place / SOUND_HZ - now))
        piece = self._samples[self._place : self._place + PACKET]
        piece = np.pad(piece, (0, PACKET - len(piece)))
        frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = self._place, SOUND_HZ, Fraction(1, SOUND_HZ)
        self._place += PACKET
        return frame


class Client:
    """What the page's script does, in Python.

    Attributes:
        key: of its session.
        pictures: (time in seconds, gray picture) as they came.
        sounds: (time in seconds, samples (T,) int16) as they came.
    """

    def __init__(self, http: aiohttp.ClientSession):
        self.http, self.key = http, None
        self.pictures, self.sounds = [], []
        self.answer = ""

    async def ask(self, path: str, body: dict | None = None, **options) -> tuple[int, dict]:
        method = "GET" if body is None else "POST"
        async with self.http.request(method, path, json=body, **options) as answer:
            return answer.status, await answer.json()

    async def connect(self, microphone: MediaStreamTrack | None = None) -> int:
        """Connects, to the session it had before if there was one; returns the status."""
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTransceiver(microphone or "audio", direction="sendrecv")
        self.peer.addTransceiver("video", direction="recvonly")
        self.peer.on("track", lambda track: asyncio.ensure_future(self._take(track)))
        await self.peer.setLocalDescription(await self.peer.createOffer())
        path = f"/sessions/{self.key}/connection" if self.key else "/sessions"
        status, answer = await self.ask(path, {"offer": self.peer.localDescription.sdp})
        if status == 200:
            self.key, self.answer = answer.get("key", self.key), answer["answer"]
            await self.peer.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        else:
            await self.peer.close()
        return status

    async def wait_for(self, condition, most_s: float = 90.0) -> None:
        end = asyncio.get_running_loop().time() + most_s
        while not condition():
            assert asyncio.get_running_loop().time() < end, "it did not happen"
            await asyncio.sleep(0.02)

    async def leave(self) -> None:
        await self.peer.close()

    async def _take(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except Exception:  # the track has ended
                return
            if track.kind == "video":
                self.pictures.append((frame.time, frame.to_ndarray(format="gray")))
            else:
                self.sounds.append((frame.time, frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]))


def addresses_in(description: str) -> set[str]:
    """The addresses of the candidates in a description."""
    return set(re.findall(r"^a=candidate:\S+ \S+ \S+ \S+ (\S+)", description, re.MULTILINE))
