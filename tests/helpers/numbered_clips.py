"""Clips whose frames show their numbers, and wave files, made with PyAV alone."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import av
import numpy as np

BIT_PX, BITS = 16, 8


def to_bits(number: int, count: int) -> list[int]:
    """Returns the bits of a number, lowest first."""
    return [number >> bit & 1 for bit in range(count)]


def from_bits(bits: Iterable) -> int:
    """Returns the number with these bits, lowest first."""
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def bit_row(bits: Sequence[int], width: int) -> np.ndarray:
    """Returns uint8 (width, 1): a row of white and black blocks, which survive any codec."""
    return np.array(bits, np.uint8)[np.arange(width) * len(bits) // width, None] * np.uint8(255)


def numbered_frame(number: int) -> np.ndarray:
    """Returns a frame, uint8 (H, W, 3), that shows its number as black and white squares."""
    row = bit_row(to_bits(number, BITS), BITS * BIT_PX)
    return np.ascontiguousarray(np.broadcast_to(row, (2 * BIT_PX, BITS * BIT_PX, 3)))


def frame_number(rgb: np.ndarray) -> int:
    """Returns the number that a frame, or its left part, shows."""
    return from_bits(rgb[BIT_PX, BIT_PX // 2 :: BIT_PX, 0] > 127)


def write_clip(path, frames, fps=25, times=None, codec="libx264", audio=None, audio_start=0, rotation=None):
    """Writes a clip with PyAV alone: `times` in 1/1000 s for a variable rate, `audio` = (int16 (C, T), rate)."""
    fps = Fraction(fps)
    with av.open(str(path), "w") as out:
        height, width = frames[0].shape[:2]
        stream = out.add_stream(codec, rate=fps, width=width, height=height, pix_fmt="yuv420p")
        stream.codec_context.time_base = Fraction(1, 1000) if times else 1 / fps
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if audio is not None:
            samples, rate = audio
            layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
            audio_stream = out.add_stream("pcm_s16le", rate=rate, layout=layout)
            packed = np.ascontiguousarray(samples.T.reshape(1, -1))
            block = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            block.sample_rate, block.pts, block.time_base = rate, audio_start, Fraction(1, rate)
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = times[index] if times else index
            frame.time_base = stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if audio is not None:
            out.mux(audio_stream.encode(block))
            out.mux(audio_stream.encode(None))
    return path


def write_wav(path, samples: np.ndarray, rate: int, layout: str):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=layout)
        frame.sample_rate = rate
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def noise(channels: int, samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-20000, 20000, (channels, samples)).astype(np.int16)
