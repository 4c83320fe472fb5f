"""A face for agents of LiveKit: give it to livekit-agents' `AvatarRunner`."""

# Type checkers take this file for the package of the same name.
# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator

from livekit import rtc  # pyright: ignore[reportMissingImports]  # an extra of its own
from livekit.agents.voice.avatar import (  # pyright: ignore[reportMissingImports]
    AudioSegmentEnd,
    AvatarOptions,
    VideoGenerator,
)

from ..live.pacing import int16_of, paced_frames, push_with_room, samples_of
from ..live.session import LiveSession


class Diff2LipVideoGenerator(VideoGenerator):
    """Turns an agent's speech into video and sound, frame by frame.

    Args:
        session: of a [`LiveLipSync`] that was started.
        sampling_rate: of the agent's speech, in Hz; all of it must have this rate.

    Examples:

    ```py
    >>> generator = Diff2LipVideoGenerator(engine.open_session(), sampling_rate=24000)
    >>> runner = AvatarRunner(room, audio_recv=receiver, video_gen=generator, options=generator.options)
    ```
    """

    def __init__(self, session: LiveSession, sampling_rate: int = 24000):
        self.session, self.sampling_rate = session, sampling_rate

    @property
    def options(self) -> AvatarOptions:
        """Size and rates, as `AvatarRunner` wants them."""
        source = self.session.source
        return AvatarOptions(
            video_width=source.width,
            video_height=source.height,
            video_fps=float(self.session.fps),
            audio_sample_rate=self.sampling_rate,
            audio_channels=1,
        )

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """Takes speech of the agent, or the end of a segment; waits while the queue is full.

        Raises:
            ValueError: if the speech has another sampling rate.
        """
        if isinstance(frame, AudioSegmentEnd):
            self.session.flush()
            return
        if frame.sample_rate != self.sampling_rate:
            raise ValueError(
                f"speech of {frame.sample_rate} Hz came, but `sampling_rate` is {self.sampling_rate}; set them alike"
            )
        samples = samples_of(frame.data, frame.num_channels)
        await push_with_room(self.session, samples, frame.sample_rate)

    def clear_buffer(self) -> None:
        """Forgets all speech that was not given out; the mouth rests from the next frame on."""
        self.session.interrupt()

    async def __aiter__(self) -> AsyncIterator[rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd]:
        """Yields each frame of video, after it its sound if the face speaks, and `AudioSegmentEnd` after a segment."""
        async for frame in paced_frames(self.session):
            if frame.ends_segment:
                yield AudioSegmentEnd()
            height, width = frame.picture.shape[:2]
            yield rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, frame.picture.tobytes())
            if frame.is_speech:
                sound = int16_of(frame.sound)
                yield rtc.AudioFrame(sound.tobytes(), frame.sampling_rate, 1, len(sound))
