"""The sound of a file as packets for a video of known length: copied where that is possible, else encoded as AAC."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..errors import MediaError
from .streams import BACK_S, JUMP_S, audio_blocks, audio_stream, open_input, rebased_packets, time_zero

AAC_FRAME = 1024  # samples
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_SAMPLE = 6  # the format allows 6144 bits a channel and frame
CHANNEL_BIT_RATE = 96_000
# Copied packets may start this much before the first picture: a decoder needs the one before; players hide it.
PREROLL_S = Fraction(1, 10)


class AudioTrack:
    """Sound of a file as packets for a video of known length.

    Args:
        path: the file; its time zero meets the first picture.
        sampling_rate: in Hz, to encode at; None keeps the source's.
        channels: how many to encode; None keeps the source's.

    Raises:
        ValueError: a sampling rate or number of channels that AAC does not have.
        MediaError: the file cannot be read, or its sound not decoded.
        NoAudioError: it has no audio stream.
    """

    def __init__(self, path: str | Path, sampling_rate: int | None, channels: int | None):
        if sampling_rate is not None and sampling_rate not in _aac_rates():
            raise ValueError(f"audio_sampling_rate must be one of {_aac_rates()}, got {sampling_rate}")
        if channels is not None and channels not in AAC_LAYOUTS:
            raise ValueError(f"audio_channels must be one of {sorted(AAC_LAYOUTS)}, got {channels}")
        self.path, self.sampling_rate, self.channels = path, sampling_rate, channels
        with open_input(path) as container:  # fails now rather than after the last picture
            stream = audio_stream(container, path)
            blocks = audio_blocks(container, stream, path, "flt", stream.codec_context.sample_rate)
            if next(blocks, None) is None:
                raise MediaError(path, "its sound ends before its first picture; pass another recording")

    @contextmanager
    def packets(
        self, out, copied_codecs: set[str], end_s: Fraction, frame_s: Fraction
    ) -> Iterator[Iterator[av.Packet]]:
        """Adds a sound stream to the opened container `out`; gives the iterator over its packets up to `end_s`.

        Args:
            out: a container opened for writing.
            copied_codecs: FFmpeg's names of the codecs whose packets `out` takes as they are.
            end_s: length of the video.
            frame_s: length of a picture, by which the sound may be shorter or longer.
        """
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            if self._may_copy(stream, copied_codecs) and self._copyable_s() >= end_s - frame_s:
                out_stream = out.add_stream_from_template(stream, opaque=True)
                packets = rebased_packets(container, stream, out_stream, self.path, time_zero(self.path))
                yield _cut(packets, end_s)
            else:
                yield self._encoded(container, stream, self._add_aac_stream(out, stream), end_s, frame_s)

    def _may_copy(self, stream, copied_codecs: set[str]) -> bool:
        codec = stream.codec_context.codec.canonical_name
        return self.sampling_rate is None and self.channels is None and codec in copied_codecs

    def _copyable_s(self) -> Fraction:
        """Up to where packets may be copied, read from them as headers are often wrong.

        0 if their clock jumps, or if AAC changes its rate or channels, which mp4 states once for all.
        """
        last = end = header = None
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            for packet in rebased_packets(container, stream, stream, self.path, time_zero(self.path)):
                start = packet.pts * packet.time_base
                if last is not None and (not last - BACK_S <= start <= end + JUMP_S or _adts_header(packet) != header):
                    return Fraction(0)
                header = _adts_header(packet)
                last, end = start, max(end or 0, start + (packet.duration or 0) * packet.time_base)
        return end or Fraction(0)

    def _add_aac_stream(self, out, source):
        context = source.codec_context
        rate = self.sampling_rate or next((r for r in _aac_rates() if r >= context.sample_rate), _aac_rates()[-1])
        channels = self.channels or (context.channels if context.channels in AAC_LAYOUTS else 1)
        bit_rate = channels * min(CHANNEL_BIT_RATE, AAC_BITS_PER_SAMPLE * rate)
        return out.add_stream("aac", rate=rate, layout=AAC_LAYOUTS[channels], bit_rate=bit_rate)

    def _encoded(self, container, source, target, end_s: Fraction, frame_s: Fraction) -> Iterator[av.Packet]:
        rate, layout = target.codec_context.sample_rate, target.codec_context.layout.name
        samples = _sample_count(end_s, frame_s, rate)
        blocks = audio_blocks(container, source, self.path, "flt", rate)
        position = 0
        for block in _of_length(_of_channels(blocks, target.codec_context.channels), samples):
            packed = np.ascontiguousarray(block.T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            position += block.shape[1]
            yield from target.encode(frame)
        yield from target.encode(None)


def _adts_header(packet: av.Packet) -> bytes | None:
    """Profile, rate and channels as AAC of streams states them in each packet; None for other packets."""
    head = bytes(packet)[:4]
    is_adts = len(head) == 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    return bytes([head[2] & 0xFD, head[3] & 0xC0]) if is_adts else None


def _aac_rates() -> list[int]:
    return sorted(av.Codec("aac", "w").audio_rates)


def _cut(packets: Iterable[av.Packet], end_s: Fraction) -> Iterator[av.Packet]:
    """The packets from (almost) zero to the end; the last one is marked as lasting no longer."""
    for packet in packets:
        left = end_s - packet.pts * packet.time_base
        if left <= 0:
            return
        if packet.pts * packet.time_base >= -PREROLL_S:
            packet.duration = min(packet.duration, max(1, int(left / packet.time_base)))
            yield packet


def _sample_count(end_s: Fraction, frame_s: Fraction, rate: int) -> int:
    """How many samples to encode for a video that lasts `end_s`, within a picture's length `frame_s`.

    A simple decoder gives the last AAC frame whole (64 ms at 16 kHz). Where that would be more than a picture too
    long, and leaving that frame out is less than a picture too short, it is left out.
    """
    samples = round(end_s * rate)
    tail = samples % AAC_FRAME
    return samples - tail if tail < frame_s * rate < AAC_FRAME - tail and samples > tail else samples


def _of_channels(blocks: Iterable[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """Blocks (C, T) with that many channels; where the source has another number, all get the source's plain mean."""
    for block in blocks:
        same = len(block) == channels
        yield block if same else np.repeat(block.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)


def _of_length(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Blocks (C, T) with that many samples in all, silence where the source has ended."""
    for block in blocks:
        if samples <= 0:
            return
        yield block[:, :samples]
        samples -= block.shape[1]
    while samples > 0:
        yield np.zeros_like(block[:, :1]).repeat(min(samples, AAC_FRAME), axis=1)
        samples -= AAC_FRAME
