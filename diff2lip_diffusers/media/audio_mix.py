"""The audio of a dialogue: recordings at their times, over the audio of a video, which is silent meanwhile."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from .audio_track import aac_rate, add_aac_stream, encoded_packets
from .streams import audio_blocks, audio_stream, open_input

# The video's own audio fades out and in over this long, so that nothing clicks.
FADE_S = Fraction(1, 100)
BLOCK_S = 1


@dataclass(frozen=True)
class Recording:
    """A recording in a mix.

    Attributes:
        path: its file.
        start_s: when it starts in the mix.
        end_s: when it ends there, even if it is longer.
    """

    path: str | Path
    start_s: Fraction
    end_s: Fraction


class AudioMix:
    """Several files' audio as packets for a video of known length, like an `AudioTrack`.

    Recordings that overlap are added. The mix has the highest sampling rate of its files, and two channels if one of
    them has two or more.

    Args:
        recordings: what is heard.
        under: a file whose audio is heard where no recording is; None for silence.

    Raises:
        MediaError: a file cannot be read.
        NoAudioError: it has no audio stream.
    """

    def __init__(self, recordings: Sequence[Recording], under: str | Path | None):
        self.recordings, self.under = list(recordings), under
        paths = {recording.path for recording in recordings} | ({under} if under is not None else set())
        formats = [_rate_and_channels(path) for path in paths]
        self.rate = aac_rate(max(rate for rate, _ in formats))
        self.channels = min(2, max(channels for _, channels in formats))

    @contextmanager
    def packets(
        self, out: OutputContainer, copied_codecs: set[str], end_s: Fraction, frame_s: Fraction
    ) -> Iterator[Iterator[av.Packet]]:
        """Adds an audio stream to `out` and yields one iterator over its packets up to `end_s`.

        Args:
            out: a container opened for writing.
            copied_codecs: not used: a mix is always encoded.
            end_s: length of the video.
            frame_s: length of a frame; the audio may be shorter or longer by this much.
        """
        target = add_aac_stream(out, self.rate, self.channels)
        with closing(self.blocks(end_s)) as blocks:
            yield encoded_packets(blocks, target, end_s, frame_s)

    def blocks(self, end_s: Fraction) -> Generator[np.ndarray, None, None]:
        """Yields the mix up to `end_s` in blocks (C, T) float32 in [-1, 1] of BLOCK_S, the last one shorter."""
        size, end = BLOCK_S * self.rate, round(end_s * self.rate)
        playing = [self._playing(recording) for recording in self.recordings]
        under = None if self.under is None else self._playing(Recording(self.under, Fraction(0), end_s))
        try:
            for start in range(0, end, size):
                stop = min(start + size, end)
                mix = np.zeros((self.channels, stop - start), np.float32)
                if under is not None:
                    under.add_to(mix, start)
                    mix *= self._gain(start, stop)
                for recording in playing:
                    recording.add_to(mix, start)
                yield mix.clip(-1, 1)
        finally:
            for one in (*playing, *([under] if under else [])):
                one.close()

    def _playing(self, recording: Recording) -> "_Playing":
        return _Playing(recording, self.rate, self.channels)

    def _gain(self, start: int, stop: int) -> np.ndarray:
        """How loud the audio under the recordings is, (T,) float32 in [0, 1]."""
        times = np.arange(start, stop) / self.rate
        gain = np.ones(len(times))
        for recording in self.recordings:
            first, last = float(recording.start_s), float(recording.end_s)
            if first - FADE_S < times[-1] and times[0] < last + FADE_S:
                away = np.maximum(first - times, times - last) / float(FADE_S)
                np.minimum(gain, away.clip(0, 1), out=gain)
        return gain.astype(np.float32)


class _Playing:
    """A recording that is added to a mix block by block; its file is open only while it plays."""

    def __init__(self, recording: Recording, rate: int, channels: int):
        self.recording, self.channels, self.rate = recording, channels, rate
        self.start, self.end = round(recording.start_s * rate), round(recording.end_s * rate)
        self._pieces: Iterator[np.ndarray] | None = None
        self._left = np.zeros((channels, 0), np.float32)

    def add_to(self, mix: np.ndarray, start: int) -> None:
        """Adds what belongs into a block (C, T) of the mix that starts at sample `start`; blocks come in order."""
        first, last = max(self.start, start), min(self.end, start + mix.shape[1])
        if first >= last:
            if start >= self.end:
                self.close()
            return
        taken = self._take(last - first)
        mix[:, first - start : first - start + taken.shape[1]] += taken

    def close(self) -> None:
        """Closes the file."""
        if self._pieces is not None:
            self._pieces.close()  # pyright: ignore[reportAttributeAccessIssue]
        self._left = self._left[:, :0]

    def _take(self, count: int) -> np.ndarray:
        """The next samples, fewer at the end of the file."""
        if self._pieces is None:
            self._pieces = self._read()
        pieces, held = [self._left], self._left.shape[1]
        while held < count and (piece := next(self._pieces, None)) is not None:
            pieces.append(piece)
            held += piece.shape[1]
        joined = np.concatenate(pieces, axis=1)
        self._left = joined[:, count:].copy()
        return joined[:, :count]

    def _read(self) -> Iterator[np.ndarray]:
        path = self.recording.path
        with open_input(path) as container:
            stream = audio_stream(container, path)
            for block in audio_blocks(container, stream, path, "flt", self.rate):
                same = len(block) == self.channels
                yield block if same else np.repeat(block.mean(0, keepdims=True, dtype=np.float32), self.channels, 0)


def _rate_and_channels(path: str | Path) -> tuple[int, int]:
    with open_input(path) as container:
        context = audio_stream(container, path).codec_context
        return context.sample_rate, context.channels
