"""A face for pipelines of Pipecat: put it between the speech synthesis and the transport's output."""

import asyncio

from pipecat.frames.frames import (  # pyright: ignore[reportMissingImports]  # an extra of its own
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # pyright: ignore[reportMissingImports]

from ..live.live_frame import LiveFrame
from ..live.pacing import int16_of, paced_frames, push_with_room, samples_of
from ..live.session import LiveSession

# How often to look whether all is said when the pipeline ends.
DRAIN_CHECK_S = 0.02


class Diff2LipVideoProcessor(FrameProcessor):
    """Takes `TTSAudioRawFrame`s and gives pictures and the same speech, together.

    Each picture is an `OutputImageRawFrame`; while the face speaks it waits for its sound (`sync_with_audio`). A
    `TTSStoppedFrame` follows the last sound of its speech. An `InterruptionFrame` empties the queue. An `EndFrame`
    waits until all is said.

    Args:
        session: of a [`LiveLipSync`] that was started. Closed when the pipeline is over.
        **arguments: of `FrameProcessor`.

    Examples:

    ```py
    >>> face = Diff2LipVideoProcessor(engine.open_session())
    >>> pipeline = Pipeline([transport.input(), stt, llm, tts, face, transport.output()])
    ```
    """

    def __init__(self, session: LiveSession, **arguments):
        super().__init__(**arguments)
        self.session = session
        self._giving: asyncio.Task | None = None
        self._stopped: list[Frame] = []  # ends of speech that is not given out yet

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Takes a frame of the pipeline."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame) and direction == FrameDirection.DOWNSTREAM:
            await self._take_speech(frame)
            return
        if isinstance(frame, TTSStoppedFrame) and direction == FrameDirection.DOWNSTREAM:
            self._stopped.append(frame)
            self.session.flush()
            return
        if isinstance(frame, InterruptionFrame):
            self.session.interrupt()
            self._stopped.clear()
        elif isinstance(frame, EndFrame):
            await self._say_the_rest()
            await self._stop()
        elif isinstance(frame, CancelFrame):
            await self._stop()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._giving is None:
            self._giving = self.create_task(self._give())

    async def cleanup(self) -> None:
        """Ends the session."""
        await self._stop()
        await super().cleanup()

    async def _take_speech(self, frame: TTSAudioRawFrame) -> None:
        try:
            samples = samples_of(frame.audio, frame.num_channels)
            await push_with_room(self.session, samples, frame.sample_rate)
        except ValueError as error:
            await self.push_error(f"speech refused: {error}")

    async def _give(self) -> None:
        async for frame in paced_frames(self.session):
            if frame.ends_segment and self._stopped:
                await self.push_frame(self._stopped.pop(0))
            await self._push(frame)

    async def _push(self, frame: LiveFrame) -> None:
        height, width = frame.picture.shape[:2]
        picture = OutputImageRawFrame(image=frame.picture.tobytes(), size=(width, height), format="RGB")
        picture.sync_with_audio = frame.is_speech
        await self.push_frame(picture)
        if frame.is_speech:
            sound = int16_of(frame.sound).tobytes()
            await self.push_frame(TTSAudioRawFrame(audio=sound, sample_rate=frame.sampling_rate, num_channels=1))

    async def _say_the_rest(self) -> None:
        if self._giving is None:
            return
        self.session.flush()
        while self.session.is_open and self.session.is_speaking:
            await asyncio.sleep(DRAIN_CHECK_S)
        await asyncio.sleep(DRAIN_CHECK_S)  # the last frame is on its way
        for frame in self._stopped:
            await self.push_frame(frame)
        self._stopped.clear()

    async def _stop(self) -> None:
        self.session.close()
        if self._giving is not None:
            giving, self._giving = self._giving, None
            await self.cancel_task(giving)
