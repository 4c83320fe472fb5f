"""The audio track of an output: packets copied from a source where possible, otherwise encoded as AAC."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError

from ..errors import MediaError
from .streams import (
    MAX_STEP_AHEAD_S,
    MAX_STEP_BACK_S,
    audio_blocks,
    audio_stream,
    open_input,
    rebased_packets,
    start_s,
    time_zero,
)

AAC_FRAME = 1024  # samples
AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
AAC_BITS_PER_SAMPLE = 6  # the format allows 6144 bits per channel and frame
CHANNEL_BIT_RATE = 96_000
# Copied packets may start this much before the first frame: a decoder needs the previous packet, and players skip it.
PREROLL_S = Fraction(1, 10)


class AudioTrack:
    """The audio of a file as packets for a video of known length.

    Args:
        path: the file; its time zero is the start of the first frame.
        sampling_rate: in Hz, to resample to; None keeps the source's.
        channels: how many to encode; None keeps the source's.

    Raises:
        ValueError: a sampling rate or number of channels that AAC does not have.
        MediaError: the file cannot be read, or its audio cannot be decoded.
        NoAudioError: it has no audio stream.
    """

    def __init__(self, path: str | Path, sampling_rate: int | None, channels: int | None):
        if sampling_rate is not None and sampling_rate not in _aac_rates():
            raise ValueError(f"audio_sampling_rate must be one of {_aac_rates()}, got {sampling_rate}")
        if channels is not None and channels not in AAC_LAYOUTS:
            raise ValueError(f"audio_channels must be one of {sorted(AAC_LAYOUTS)}, got {channels}")
        self.path, self.sampling_rate, self.channels = path, sampling_rate, channels
        with open_input(path) as container:  # fails now rather than after the last frame
            stream = audio_stream(container, path)
            blocks = audio_blocks(container, stream, path, "flt", stream.codec_context.sample_rate)
            if next(blocks, None) is None:
                raise MediaError(path, "its audio ends before its first frame; pass another recording")

    @contextmanager
    def packets(
        self, out: OutputContainer, copied_codecs: set[str], end_s: Fraction, frame_s: Fraction
    ) -> Iterator[Iterator[av.Packet]]:
        """Adds an audio stream to `out` and yields one iterator over its packets up to `end_s`.

        Args:
            out: a container opened for writing.
            copied_codecs: FFmpeg's names of the codecs whose packets may be copied into `out`.
            end_s: length of the video.
            frame_s: length of a frame; the audio may be shorter or longer by this much.
        """
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            if self._may_copy(stream, copied_codecs) and self._copyable_s(end_s) >= end_s - frame_s:
                out_stream = out.add_stream_from_template(stream, opaque=True)
                packets = rebased_packets(container, stream, out_stream, self.path, time_zero(self.path))
                yield _cut(packets, end_s)
            else:
                target = self._add_aac_stream(out, stream)
                blocks = audio_blocks(container, stream, self.path, "flt", target.codec_context.sample_rate)
                yield encoded_packets(blocks, target, end_s, frame_s)

    def _may_copy(self, stream: av.AudioStream, copied_codecs: set[str]) -> bool:
        codec = stream.codec_context.codec.canonical_name
        return self.sampling_rate is None and self.channels is None and codec in copied_codecs

    def _copyable_s(self, needed_s: Fraction) -> Fraction:
        """Returns how far packets may be copied, measured on the packets because headers are often wrong.

        It is 0 if their clock jumps or stops, if AAC changes its rate or channels, which mp4 states only once, or if a
        packet is damaged: some players stop there.
        """
        last, end, header = None, Fraction(0), None
        with open_input(self.path) as container:
            stream = audio_stream(container, self.path)
            for packet in rebased_packets(container, stream, stream, self.path, time_zero(self.path)):
                start = start_s(packet)
                if packet.pts is None:
                    return Fraction(0)
                if last is not None and (
                    not last - MAX_STEP_BACK_S <= start <= end + MAX_STEP_AHEAD_S or _adts_header(packet) != header
                ):
                    return Fraction(0)
                if start >= needed_s:
                    return start
                if start >= -PREROLL_S and not _can_be_decoded(packet, stream):
                    return Fraction(0)
                header = _adts_header(packet)
                last, end = start, max(end, start + (packet.duration or 0) * packet.time_base)
        return end

    def _add_aac_stream(self, out: OutputContainer, source: av.AudioStream) -> av.AudioStream:
        context = source.codec_context
        channels = self.channels or (context.channels if context.channels in AAC_LAYOUTS else 1)
        return add_aac_stream(out, self.sampling_rate or aac_rate(context.sample_rate), channels)


def aac_rate(sampling_rate: int) -> int:
    """Returns the rate in Hz at which AAC holds audio of a sampling rate: the same, or the next one that it has."""
    return next((rate for rate in _aac_rates() if rate >= sampling_rate), _aac_rates()[-1])


def add_aac_stream(out: OutputContainer, rate: int, channels: int) -> av.AudioStream:
    """Adds a stream for AAC to a container, with a rate in Hz and a number of channels that AAC has."""
    bit_rate = channels * min(CHANNEL_BIT_RATE, AAC_BITS_PER_SAMPLE * rate)
    return out.add_stream("aac", rate=rate, layout=AAC_LAYOUTS[channels], bit_rate=bit_rate)


def encoded_packets(
    blocks: Iterable[np.ndarray], target: av.AudioStream, end_s: Fraction, frame_s: Fraction
) -> Iterator[av.Packet]:
    """Yields the packets of audio for a video.

    Args:
        blocks: the audio, (C, T) float32 each, at the rate of `target`.
        target: the stream that encodes.
        end_s: length of the video.
        frame_s: length of a frame.
    """
    rate, layout = target.codec_context.sample_rate, target.codec_context.layout.name
    samples = _sample_count(end_s, frame_s, rate)
    position = 0
    for block in _of_length(_of_channels(blocks, target.codec_context.channels), samples):
        packed = np.ascontiguousarray(block.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
        position += block.shape[1]
        yield from target.encode(frame)
    yield from target.encode(None)


def _can_be_decoded(packet: av.Packet, stream: av.AudioStream) -> bool:
    try:
        stream.decode(packet)
    except FFmpegError:
        return False
    return not packet.is_corrupt


def _adts_header(packet: av.Packet) -> bytes | None:
    """Returns profile, rate and channels as each ADTS packet of AAC states them; None for other packets."""
    head = bytes(packet)[:4]
    is_adts = len(head) == 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    return bytes([head[2] & 0xFD, head[3] & 0xC0]) if is_adts else None


def _aac_rates() -> list[int]:
    return sorted(av.Codec("aac", "w").audio_rates or ())


def _cut(packets: Iterable[av.Packet], end_s: Fraction) -> Iterator[av.Packet]:
    """Yields the packets from (almost) zero to `end_s`; the last one's duration is cut to end there."""
    for packet in packets:
        left = end_s - start_s(packet)
        if left <= 0:
            return
        if start_s(packet) >= -PREROLL_S:
            packet.duration = min(packet.duration or 0, max(1, int(left / packet.time_base)))
            yield packet


def _sample_count(end_s: Fraction, frame_s: Fraction, rate: int) -> int:
    """Returns how many samples to encode for a video that lasts `end_s`, within one frame's length `frame_s`.

    Simple decoders return the last AAC frame whole (64 ms at 16 kHz). That AAC frame is left out if with it the audio
    would be more than a video frame too long, and without it less than a video frame too short.
    """
    samples = round(end_s * rate)
    tail = samples % AAC_FRAME
    return samples - tail if tail < frame_s * rate < AAC_FRAME - tail and samples > tail else samples


def _of_channels(blocks: Iterable[np.ndarray], channels: int) -> Iterator[np.ndarray]:
    """Yields blocks (C, T) with this many channels; if the source has another number, each is the source's mean."""
    for block in blocks:
        same = len(block) == channels
        yield block if same else np.repeat(block.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)


def _of_length(blocks: Iterable[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Yields blocks (C, T) with this many samples in all; silence follows the end of the source."""
    for block in blocks:
        if samples <= 0:
            return
        yield block[:, :samples]
        samples -= block.shape[1]
    while samples > 0:
        yield np.zeros_like(block[:, :1]).repeat(min(samples, AAC_FRAME), axis=1)
        samples -= AAC_FRAME
