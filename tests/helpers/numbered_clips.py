"""Clips whose frames carry their numbers, and wave files, made with PyAV alone."""

from fractions import Fraction

import av
import numpy as np

BIT_PX, BITS = 16, 8


def numbered_frame(number: int) -> np.ndarray:
    """A picture that carries its number as black and white squares, which survive any codec."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, np.uint8) * 255, BIT_PX)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (2 * BIT_PX, len(row), 3)))


def frame_number(picture: np.ndarray) -> int:
    squares = picture[BIT_PX, BIT_PX // 2 :: BIT_PX, 0] > 127
    return int(sum(1 << bit for bit, on in enumerate(squares) if on))


def write_clip(path, pictures, fps=25, times=None, codec="libx264", audio=None, audio_start=0, rotation=None):
    """A clip made with PyAV alone: `times` in 1/1000 s for a variable rate, `audio` = (int16 (C, T), rate)."""
    fps = Fraction(fps)
    with av.open(str(path), "w") as out:
        height, width = pictures[0].shape[:2]
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
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
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
