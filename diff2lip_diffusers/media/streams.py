"""The streams of a media file: which to use, where their time starts, their packets, frames and sound samples."""

import itertools
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from ..errors import MediaError, NoAudioError

# Sound that is so much early or late has a hole or an overlap; less is jitter of time stamps, as browsers write it.
HOLE_S = Fraction(1, 20)
# Time stamps that jump back, or on by so much, come from another clock: recordings put one after another.
BACK_S, JUMP_S = Fraction(1, 5), 10

logger = logging.getLogger(__name__)


@contextmanager
def open_input(path: str | Path) -> Iterator[av.container.InputContainer]:
    """The opened file, closed when the block ends.

    Raises:
        MediaError: it is missing, a folder, empty, not readable or not a media file.
    """
    file = Path(path)
    if file.is_file() and file.stat().st_size == 0:
        raise MediaError(path, "is empty (0 bytes); copy or download it again")
    if file.exists() and not file.is_file() and not file.is_dir():
        raise MediaError(path, "is a pipe or a device, which cannot be read twice; pass a file")
    try:
        # "file:" so that a colon in a name is not taken for a protocol
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(path, _why_unreadable(error)) from error
    with container:
        if container.format.name == "tty":  # FFmpeg would draw any .txt file as a terminal
            raise MediaError(path, "is a text file; pass a video or audio file")
        yield container


def _why_unreadable(error: Exception) -> str:
    causes = {
        FileNotFoundError: "no such file; check the path",
        IsADirectoryError: "is a folder; pass a file",
        PermissionError: "must not be read; check its permissions",
    }
    unknown = f"is not a video or audio file ({error.strerror or error}); convert or download it again"
    return next((reason for cause, reason in causes.items() if isinstance(error, cause)), unknown)


def video_stream(container, path: str | Path):
    """The first video stream that is not cover art.

    Raises:
        MediaError: there is none.
    """
    stream = _find_video_stream(container)
    if stream is None:
        raise MediaError(path, "has no video stream; pass a file with moving pictures as the video")
    stream.thread_type = "AUTO"
    return stream


def _find_video_stream(container):
    pictures = (s for s in container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic)
    return next(pictures, None)


def audio_stream(container, path: str | Path):
    """The stream FFmpeg ranks best.

    Raises:
        NoAudioError: there is none.
    """
    known = [stream for stream in container.streams.audio if stream.codec_context]
    if not known:
        raise NoAudioError(path)
    best = container.streams.best("audio")
    return best if best in known else known[0]


def time_zero(path: str | Path) -> Fraction:
    """The time stamp in seconds from which a file's pictures and sound are counted: that of the first picture that can
    be decoded, or of the first sound where there is no picture.

    Raises:
        MediaError: as `open_input`.
    """
    with open_input(path) as container:
        stream = _find_video_stream(container)
        frame = None if stream is None else next(decode_frames(container, stream, path), None)
        if frame is not None and frame.pts is not None:
            return frame.pts * frame.time_base
        return Fraction(container.start_time or 0, av.time_base)


def read_packets(container, stream, path: str | Path) -> Iterator[av.Packet]:
    """The packets of a stream up to where the file breaks off, then an empty one, which flushes a decoder.

    Raises:
        MediaError: the disk or the network fails while reading.
    """
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.InvalidDataError as error:
        logger.warning("%s: damaged, reading stops early (%s)", path, error.strerror)
    except av.error.FFmpegError as error:
        raise MediaError(path, f"cannot be read to its end ({error.strerror})") from error
    flush = av.Packet()
    flush.stream, flush.time_base = stream, stream.time_base
    yield flush


def rebased_packets(
    container, stream, out_stream, path: str | Path, zero_s: Fraction = Fraction(0)
) -> Iterator[av.Packet]:
    """The packets of a stream, time counted from `zero_s`, assigned to `out_stream` of another container.

    Raises:
        MediaError: as `read_packets`.
    """
    zero = round(zero_s / stream.time_base)
    for packet in read_packets(container, stream, path):
        if packet.size:
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - zero
            packet.dts = packet.pts if packet.dts is None else packet.dts - zero
            packet.stream = out_stream
            yield packet


def decode_frames(container, stream, path: str | Path) -> Iterator[av.frame.Frame]:
    """Every frame that can be decoded; damaged packets are left out.

    AVI holds no times of presentation, and what FFmpeg makes up goes back and forth where pictures are predicted from
    later ones; the times of decoding are right.

    Raises:
        MediaError: as `read_packets`.
    """
    by_dts = container.format.name == "avi" and stream.type == "video"
    for frame in _decoded(container, stream, path):
        if by_dts:
            frame.pts = frame.dts
        yield frame


def _decoded(container, stream, path: str | Path) -> Iterator[av.frame.Frame]:
    damaged, newest, shown = 0, -math.inf, -math.inf
    for packet in read_packets(container, stream, path):
        if packet.size and packet.pts is not None and not packet.is_discard:
            newest = max(newest, packet.pts)
        try:
            for frame in stream.decode(packet):
                shown = max(shown, newest if frame.pts is None else frame.pts)
                yield frame
        except av.error.FFmpegError:
            damaged += 1
    if shown < newest and stream.type == "video" and stream.codec_context.thread_count != 1:
        yield from _frames_after(shown, path, stream.index)
    if damaged:
        logger.warning("%s: %d damaged packets skipped", path, damaged)


def _frames_after(pts: float, path: str | Path, index: int) -> Iterator[av.frame.Frame]:
    """Frames behind a time stamp, decoded by a single thread.

    Several threads give their last frames all at once, and an error among them costs those behind it; PyAV does not
    tell of the error where good frames came before it.
    """
    with open_input(path) as container:
        stream = container.streams[index]
        stream.codec_context.thread_count = 1
        yield from (frame for frame in _decoded(container, stream, path) if frame.pts is None or frame.pts > pts)


def audio_blocks(container, stream, path: str | Path, sample_format: str, sampling_rate: int) -> Iterator[np.ndarray]:
    """Sound from time zero on in blocks (C, T) of a packed sample format ("s16", "flt") at the given rate in Hz.

    Holes in the sound become silence and overlaps are cut, so that each sample stands at its time.

    Raises:
        MediaError: nothing can be decoded, or as `read_packets`.
    """
    zero_s, heard, position = time_zero(path), False, 0
    for start_s, block in _resampled(decode_frames(container, stream, path), sample_format, sampling_rate):
        heard = True
        for piece in _in_place(block, start_s, zero_s, position, sampling_rate):
            position += piece.shape[1]
            yield piece
    if not heard:
        raise MediaError(path, "holds no sound that can be decoded; record or convert it again")


def _in_place(
    block: np.ndarray, start_s: Fraction | None, zero_s: Fraction, position: int, rate: int
) -> Iterator[np.ndarray]:
    """A block with the silence that belongs in front of it, or without what should have come before `position`."""
    ahead = 0 if start_s is None else nearest_integer((start_s - zero_s) * rate) - position
    if position and (abs(ahead) <= HOLE_S * rate or not -BACK_S * rate <= ahead <= JUMP_S * rate):
        ahead = 0  # jitter of time stamps, or another clock
    for start in range(0, ahead, rate):
        yield np.zeros((len(block), min(rate, ahead - start)), block.dtype)
    if block.shape[1] > max(0, -ahead):
        yield block[:, max(0, -ahead) :]


def _resampled(
    frames: Iterable[av.AudioFrame], sample_format: str, rate: int
) -> Iterator[tuple[Fraction | None, np.ndarray]]:
    """Blocks (C, T), each with the start in s of the frame that completed it; layout and rate of frames may change.

    What is left in the resampler at the end has no start.
    """
    same_kind = itertools.groupby(frames, key=lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate))
    for _, group in same_kind:
        resampler = av.AudioResampler(format=sample_format, rate=rate)
        for frame in itertools.chain(group, [None]):
            start_s = None if frame is None or frame.pts is None else frame.pts * frame.time_base
            yield from ((start_s, _by_channel(block)) for block in resampler.resample(frame))


def _by_channel(frame: av.AudioFrame) -> np.ndarray:
    """Packed samples as (C, T). Planar ones would do as well, but PyAV reads beyond the planes of 8 channels."""
    return frame.to_ndarray().reshape(-1, len(frame.layout.channels)).T


def nearest_integer(x: Fraction) -> int:
    """The nearest integer, halves away from zero (FFmpeg's AV_ROUND_NEAR_INF)."""
    return math.floor(x + Fraction(1, 2)) if x >= 0 else math.ceil(x - Fraction(1, 2))
