"""Streams of a media file: which one to use, where time starts, packets, frames and audio samples."""

import itertools
import logging
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import overload

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.frame import Frame as AVFrame
from av.stream import Disposition, Stream

from ..errors import MediaError, NoAudioError
from .containers import HEAVY_BYTES, LARGE_PIXELS, LARGEST_PIXELS, MAX_PIXELS, open_input
from .pixel_formats import bytes_per_pixel, format_without_alpha

# Audio that starts this much early or late overlaps or leaves a gap; less is time-stamp jitter, as browsers write it.
GAP_S = Fraction(1, 20)
# Time stamps that step back, or ahead by this much, come from another clock: recordings were concatenated.
MAX_STEP_BACK_S, MAX_STEP_AHEAD_S = Fraction(1, 5), 10
# So does audio that starts this much after the first frame.
MAX_LATE_S = 600

# Samples are in [-1, 1]. A few files go beyond, but none by so much.
LOUDEST = 1e6
# A recording with another rate in Hz is damaged: 192 kHz is the most that microphones give.
SAMPLING_RATES = (1_000, 768_000)

# Threads that decode large frames that are not heavy, on machines of any size.
LARGE_THREADS = 2

# Decoders pad the sides of frames to multiples of at most this.
PADDED_TO = 64

Decodable = av.VideoStream | av.AudioStream

logger = logging.getLogger(__name__)


def video_stream(container: InputContainer, path: str | Path, max_pixels: int = MAX_PIXELS) -> av.VideoStream:
    """Returns the first video stream that is not cover art.

    Args:
        container: the opened file.
        path: the file, for errors.
        max_pixels: the decoder refuses larger frames.

    Raises:
        MediaError: there is none, or its frames are too large.
    """
    stream = _find_video_stream(container, max_pixels)
    if stream is None:
        raise MediaError(path, "has no video stream; pass a file with video")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        raise MediaError(path, too_many_pixels(width, height, max_pixels))
    stream.thread_type = "AUTO"
    if width * height > LARGE_PIXELS:  # each thread holds a frame
        stream.codec_context.thread_count = 1 if _is_heavy(stream.codec_context) else LARGE_THREADS
    return stream


def _is_heavy(context: av.VideoCodecContext) -> bool:
    name = context.pix_fmt and format_without_alpha(context.pix_fmt)
    return bool(name) and context.width * context.height * bytes_per_pixel(name) > HEAVY_BYTES


def too_many_pixels(width: int, height: int, max_pixels: int) -> str:
    """Returns why frames of a size are refused, and the cure."""
    return (
        f"has frames of {width} x {height} pixels, more than the limit of {max_pixels};"
        " scale it down, or raise the limit (--max-pixels)"
    )


def _find_video_stream(container: InputContainer, max_pixels: int = LARGEST_PIXELS) -> av.VideoStream | None:
    videos = (s for s in container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic)
    stream = next(videos, None)
    if stream is not None:
        _limit_frames(stream.codec_context, max_pixels)
    return stream


def _limit_frames(context: av.VideoCodecContext, max_pixels: int) -> None:
    """Makes a decoder refuse frames of more pixels. Those that it adds to the sides, which it counts, are free."""
    width, height = (-(-side // PADDED_TO) * PADDED_TO for side in (context.width, context.height))
    is_within = context.width * context.height <= max_pixels
    context.options = {"max_pixels": str(max(max_pixels, width * height) if is_within else max_pixels)}


def audio_stream(container: InputContainer, path: str | Path) -> av.AudioStream:
    """Returns the audio stream that FFmpeg ranks best.

    Raises:
        NoAudioError: there is none.
        MediaError: its sampling rate cannot be.
    """
    known = [stream for stream in container.streams.audio if stream.codec_context]
    if not known:
        raise NoAudioError(path)
    best = container.streams.best("audio")
    stream = next((stream for stream in known if stream == best), known[0])
    rate = stream.codec_context.sample_rate
    if not SAMPLING_RATES[0] <= rate <= SAMPLING_RATES[1]:
        raise MediaError(path, f"its audio states {rate} Hz, which cannot be; convert it to 48000 Hz")
    return stream


def start_s(timed: AVFrame | av.Packet) -> Fraction:
    """Returns the presentation time in seconds; 0 where none is stated."""
    return Fraction(0) if timed.pts is None or timed.time_base is None else timed.pts * timed.time_base


def time_zero(path: str | Path) -> Fraction:
    """Returns the time stamp in seconds from which frames and audio of a file are counted.

    It is that of the first frame that can be decoded, or of the first audio in a file without frames.

    Raises:
        MediaError: as `open_input`.
    """
    with open_input(path) as container:
        stream = _find_video_stream(container)
        frame = None if stream is None else next(decode_frames(container, stream, path), None)
        if frame is not None and frame.pts is not None:
            return start_s(frame)
        return Fraction(container.start_time or 0, av.time_base)


def read_packets(container: InputContainer, stream: Stream, path: str | Path) -> Iterator[av.Packet]:
    """Yields the packets of a stream until the file ends or breaks off, then an empty one that flushes a decoder.

    Raises:
        MediaError: the disk or the network fails while reading.
    """
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except InvalidDataError as error:
        logger.warning("%s: damaged, reading stops early (%s)", path, error.strerror)
    except FFmpegError as error:
        raise MediaError(path, f"cannot be read to its end ({error.strerror})") from error
    flush = av.Packet()
    flush.stream, flush.time_base = stream, stream.time_base  # pyright: ignore[reportAttributeAccessIssue]
    yield flush


def rebased_packets(
    container: InputContainer, stream: Stream, out_stream: Stream, path: str | Path, zero_s: Fraction = Fraction(0)
) -> Iterator[av.Packet]:
    """Yields the packets of a stream for `out_stream` of another container, with time counted from `zero_s`.

    Raw streams that are damaged have packets without time; they are yielded so.

    Raises:
        MediaError: as `read_packets`.
    """
    zero = round(zero_s / stream.time_base)  # pyright: ignore[reportOperatorIssue]  # an open stream has one
    for packet in read_packets(container, stream, path):
        if packet.size:
            stated = packet.dts if packet.pts is None else packet.pts
            packet.pts = None if stated is None else stated - zero
            packet.dts = packet.pts if packet.dts is None else packet.dts - zero
            packet.stream = out_stream
            yield packet


@overload
def decode_frames(
    container: InputContainer, stream: av.VideoStream, path: str | Path, max_pixels: int = LARGEST_PIXELS
) -> Iterator[av.VideoFrame]: ...
@overload
def decode_frames(container: InputContainer, stream: av.AudioStream, path: str | Path) -> Iterator[av.AudioFrame]: ...
def decode_frames(
    container: InputContainer, stream: Decodable, path: str | Path, max_pixels: int = LARGEST_PIXELS
) -> Iterator[AVFrame]:
    """Yields every frame that can be decoded; damaged packets are skipped.

    AVI stores no presentation times. What FFmpeg makes up goes back and forth where frames are predicted from later
    ones; the decoding times are right.

    Args:
        container: the opened file.
        stream: a stream of it.
        path: the file.
        max_pixels: as for `video_stream`.

    Raises:
        MediaError: as `read_packets`.
    """
    by_dts = container.format.name == "avi" and stream.type == "video"
    for frame in _decoded(container, stream, path, max_pixels):
        if by_dts:
            frame.pts = frame.dts
        yield frame


def _decoded(container: InputContainer, stream: Decodable, path: str | Path, max_pixels: int) -> Iterator[AVFrame]:
    damaged, newest, shown = 0, -math.inf, -math.inf
    for packet in read_packets(container, stream, path):
        if packet.size and packet.pts is not None and not packet.is_discard:
            newest = max(newest, packet.pts)
        try:
            for frame in stream.decode(packet):
                shown = max(shown, newest if frame.pts is None else frame.pts)
                yield frame
        except FFmpegError:
            damaged += 1
    if shown < newest and stream.type == "video" and stream.codec_context.thread_count != 1:
        yield from _frames_after(shown, path, stream.index, max_pixels)
    if damaged:
        logger.warning("%s: %d damaged packets skipped", path, damaged)


def _frames_after(pts: float, path: str | Path, index: int, max_pixels: int) -> Iterator[AVFrame]:
    """Yields the frames after a time stamp, decoded by a single thread.

    With several threads, the last frames come all at once and an error among them loses those behind it. PyAV hides
    the error where good frames came first.
    """
    with open_input(path) as container:
        stream = next(stream for stream in container.streams.video if stream.index == index)
        _limit_frames(stream.codec_context, max_pixels)
        stream.codec_context.thread_count = 1
        frames = _decoded(container, stream, path, max_pixels)
        yield from (frame for frame in frames if frame.pts is None or frame.pts > pts)


def audio_blocks(
    container: InputContainer, stream: av.AudioStream, path: str | Path, sample_format: str, sampling_rate: int
) -> Iterator[np.ndarray]:
    """Yields audio from time zero on in blocks (C, T), each sample at its time.

    Gaps in the audio become silence, overlaps are cut.

    Args:
        container: the opened file.
        stream: its audio stream.
        path: the file, for errors.
        sample_format: a packed format of FFmpeg's: "s16" or "flt".
        sampling_rate: in Hz.

    Raises:
        MediaError: nothing can be decoded, a sample is not finite or far too loud, or as `read_packets`.
    """
    zero_s, decoded, position = time_zero(path), False, 0
    frames = _sound(decode_frames(container, stream, path), zero_s, path)
    for block_s, block in _resampled(frames, sample_format, sampling_rate):
        decoded = True
        for piece in _in_place(block, block_s, zero_s, position, sampling_rate):
            position += piece.shape[1]
            yield piece
    if not decoded:
        raise MediaError(path, "has no audio that can be decoded; record or convert it again")


def _sound(frames: Iterable[av.AudioFrame], zero_s: Fraction, path: str | Path) -> Iterator[av.AudioFrame]:
    """Yields the frames as long as their samples are finite and not far too loud."""
    for frame in frames:
        if frame.format.name[:3] in {"flt", "dbl"}:
            samples = np.abs(_by_channel(frame) if frame.format.is_packed else frame.to_ndarray()).max(axis=0)
            wrong = np.flatnonzero(~(samples <= LOUDEST))
            if wrong.size:
                time_s = float(start_s(frame) - zero_s) + wrong[0] / frame.sample_rate
                raise MediaError(
                    path, f"its audio has a sample of {samples[wrong[0]]:g} at {time_s:.3f} s; repair it or cut it out"
                )
        yield frame


def _in_place(
    block: np.ndarray, block_s: Fraction | None, zero_s: Fraction, position: int, rate: int
) -> Iterator[np.ndarray]:
    """Yields silence up to a block and the block, or what is left of the block after `position`."""
    ahead = 0 if block_s is None else nearest_integer((block_s - zero_s) * rate) - position
    if position and (abs(ahead) <= GAP_S * rate or not -MAX_STEP_BACK_S * rate <= ahead <= MAX_STEP_AHEAD_S * rate):
        ahead = 0  # time-stamp jitter, or another clock
    elif ahead > MAX_LATE_S * rate:
        ahead = 0  # another clock
    for start in range(0, ahead, rate):
        yield np.zeros((len(block), min(rate, ahead - start)), block.dtype)
    if block.shape[1] > max(0, -ahead):
        yield block[:, max(0, -ahead) :]


def _resampled(
    frames: Iterable[av.AudioFrame], sample_format: str, rate: int
) -> Iterator[tuple[Fraction | None, np.ndarray]]:
    """Yields the start in s and a block (C, T); layout and rate of the frames may change.

    The start is that of the frame that completed the block; what remains in the resampler at the end has none.
    """
    same_kind = itertools.groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate))
    for _, group in same_kind:
        resampler = av.AudioResampler(format=sample_format, rate=rate)
        for frame in itertools.chain(group, [None]):
            block_s = None if frame is None or frame.pts is None else start_s(frame)
            yield from ((block_s, _by_channel(block)) for block in resampler.resample(frame))


def _by_channel(frame: av.AudioFrame) -> np.ndarray:
    """Returns packed samples as (C, T). With planar samples PyAV reads beyond the planes of 8 channels."""
    return frame.to_ndarray().reshape(-1, len(frame.layout.channels)).T


def nearest_integer(x: Fraction) -> int:
    """Returns the nearest integer, halves away from zero (FFmpeg's AV_ROUND_NEAR_INF)."""
    return math.floor(x + Fraction(1, 2)) if x >= 0 else math.ceil(x - Fraction(1, 2))
