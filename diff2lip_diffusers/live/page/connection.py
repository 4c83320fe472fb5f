"""A WebRTC connection to one browser: the face and its voice go out, the sound of the microphone comes in."""

import asyncio
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import (  # pyright: ignore[reportMissingImports]  # the extra `live`
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError  # pyright: ignore[reportMissingImports]

from ...errors import Diff2LipError
from ..live_frame import LiveFrame
from .tracks import PictureTrack, SoundTrack

CODECS = {"audio": ("audio/opus",), "video": ("video/VP8", "video/rtx")}
# Addresses in an offer are left out: the browser comes to the server, which need not look for it anywhere else.
ADDRESSES = re.compile(r"^a=(candidate:|end-of-candidates|ice-options).*\r?\n?", re.MULTILINE)
MEDIA = re.compile(r"^m=(\w+) ", re.MULTILINE)
CONNECTED, OVER = "connected", ("failed", "closed")


class Connection:
    """Sends a face to a browser, and gives the sound that comes from it.

    Args:
        fps: frames per second.
        addresses: of this machine that the browser may use; None for all.
        on_sound: is called with sound (T, C) int16 and its sampling rate.
        on_change: is called when the connection is made, lost or closed.
    """

    def __init__(
        self,
        fps: Fraction,
        addresses: Sequence[str] | None,
        on_sound: Callable[[np.ndarray, int], None],
        on_change: Callable[[], None],
    ):
        self._picture, self._sound = PictureTrack(fps), SoundTrack(fps)
        self._addresses, self._on_sound, self._on_change = addresses, on_sound, on_change
        self._listening: asyncio.Task | None = None
        # No STUN server: nobody outside is asked.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("track", self._listen)
        self._peer.on("connectionstatechange", self._change)

    @property
    def is_open(self) -> bool:
        """Whether the browser is there."""
        return self._peer.connectionState == CONNECTED

    @property
    def is_over(self) -> bool:
        """Whether it was closed, or lost for good."""
        return self._peer.connectionState in OVER

    async def answer(self, offer: str) -> str:
        """The answer to a browser's offer; both are descriptions in SDP.

        Raises:
            Diff2LipError: if the offer is not one of the page.
        """
        if sorted(MEDIA.findall(offer)) != ["audio", "video"]:
            raise Diff2LipError("The offer is not one of this page: it needs one audio and one video.")
        self._add(self._sound, "sendrecv")
        self._add(self._picture, "sendonly")
        self._choose_addresses()
        try:
            description = RTCSessionDescription(ADDRESSES.sub("", offer), "offer")
            await self._peer.setRemoteDescription(description)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # of a parser that was not written for strangers
            raise Diff2LipError("The offer of the browser cannot be used.") from error
        return self._peer.localDescription.sdp

    def show(self, frame: LiveFrame) -> None:
        """Sends a frame and its sound."""
        self._picture.show(frame)
        self._sound.hear(frame)

    async def close(self) -> None:
        """Ends the connection; it cannot be used again."""
        if self._listening is not None:
            self._listening.cancel()
        self._picture.stop()
        self._sound.stop()
        await self._peer.close()

    def _add(self, track: MediaStreamTrack, direction: str) -> None:
        transceiver = self._peer.addTransceiver(track, direction=direction)
        known = RTCRtpSender.getCapabilities(track.kind).codecs
        transceiver.setCodecPreferences([codec for codec in known if codec.mimeType in CODECS[track.kind]])

    def _choose_addresses(self) -> None:
        """Keeps the connection on the addresses that are wanted; aioice would leave loopback out."""
        for transceiver in self._peer.getTransceivers():
            ice: Any = transceiver.receiver.transport.transport.iceGatherer._connection
            gather = ice.get_component_candidates

            def gather_here(component: int, addresses: list[str], gather=gather, **more: Any):
                wanted = [*addresses, "127.0.0.1"] if self._addresses is None else list(self._addresses)
                return gather(component=component, addresses=wanted, **more)

            ice.get_component_candidates = gather_here

    def _listen(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._listening is None:
            self._listening = asyncio.ensure_future(self._take_sound(track))

    async def _take_sound(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame: Any = await track.recv()
            except MediaStreamError:
                return
            samples = frame.to_ndarray()
            channels = len(frame.layout.channels)
            self._on_sound(samples.reshape(-1, channels) if len(samples) == 1 else samples.T, frame.sample_rate)

    def _change(self) -> None:
        self._on_change()
