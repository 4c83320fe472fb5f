"""Writes the clips of a report: H.264 that browsers play, the same bytes in every run."""

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from ...errors import Diff2LipError, MediaError
from ...media.audio_track import AudioTrack
from ...media.frame import Frame
from ...media.video_encoder import BT601_TAGS
from ...output_paths import writing

# Measured: with rate control, 3 of 48 runs on a busy machine gave other bytes, even with one thread. With a constant
# quantizer and without assembler none did.
OPTIONS = {"qp": "20", "preset": "veryfast", "threads": "1", "x264-params": "asm=0"}
AUDIO_RATE_HZ, AUDIO_CHANNELS = 44100, 2
FORMAT = "yuv420p"


def write_clip(path: Path, frames: Iterator[np.ndarray], fps: Fraction, audio: AudioTrack | None) -> None:
    """Writes an mp4 file; the same frames and audio give the same bytes.

    Args:
        path: the file.
        frames: (H, W, 3) uint8 RGB each, H and W even.
        fps: frames per second.
        audio: is cut or padded to the length of the video; None for none.

    Raises:
        MediaError: if the file cannot be written, or there is no frame.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with writing(path), ExitStack() as stack:
        out = stack.enter_context(av.open(f"file:{path}", "w", format="mp4", options=options))
        packets, count = _encoded(out, frames, fps)
        if not count:
            raise MediaError(path, "not written: there is no frame; check the videos' lengths")
        streams = [iter(packets)]
        if audio is not None:
            streams.append(stack.enter_context(audio.packets(out, set(), count / fps, 1 / fps)))
        for packet in heapq.merge(*streams, key=lambda packet: (packet.dts or 0) * packet.time_base):
            out.mux(packet)


def audio_track(files: Iterable[Path]) -> AudioTrack | None:
    """Returns the audio of the first file that has some."""
    for path in files:
        try:
            return AudioTrack(path, AUDIO_RATE_HZ, AUDIO_CHANNELS)
        except Diff2LipError:
            continue
    return None


def _encoded(out: OutputContainer, frames: Iterator[np.ndarray], fps: Fraction) -> tuple[list[av.Packet], int]:
    """Returns all packets of the video, a few megabytes, and the number of frames."""
    packets: list[av.Packet] = []
    stream, count = None, 0
    for count, frame in enumerate(frames, 1):
        height, width = frame.shape[:2]
        stream = stream or _add_stream(out, width, height, fps)
        picture = Frame.from_rgb(frame).to_av_frame(FORMAT, width, height, BT601_TAGS)
        picture.pts, picture.time_base = count - 1, 1 / fps
        packets += stream.encode(picture)
    if stream is not None:
        packets += stream.encode(None)
    return packets, count


def _add_stream(out: OutputContainer, width: int, height: int, fps: Fraction) -> av.VideoStream:
    stream: av.VideoStream = out.add_stream("libx264", rate=fps, options=OPTIONS)  # pyright: ignore
    context = stream.codec_context
    context.width, context.height, context.pix_fmt, context.time_base = width, height, FORMAT, 1 / fps
    context.colorspace, context.color_range = BT601_TAGS.matrix, BT601_TAGS.range
    context.color_primaries, context.color_trc = BT601_TAGS.primaries, BT601_TAGS.transfer
    return stream
