"""Pixel formats by FFmpeg's names: how many bits, how much chroma, and which hold a picture without loss."""

from functools import lru_cache

import av
import numpy as np

# log2 of the chroma's (width, height) reduction, as FFmpeg names it.
SUBSAMPLINGS = {(1, 1): "420", (1, 0): "422", (0, 1): "440", (0, 0): "444"}


@lru_cache
def subsampling(name: str) -> tuple[int, int]:
    """log2 of the chroma's reduction, across and down."""
    format = av.VideoFormat(name, 16, 16)
    return tuple((16 // size).bit_length() - 1 for size in (format.chroma_width(16), format.chroma_height(16)))


@lru_cache
def bits(name: str) -> int:
    """Bits a sample."""
    return av.VideoFormat(name).components[0].bits


def encodable_size(width: int, height: int, format: str) -> tuple[int, int]:
    """The size rounded up to whole chroma samples of a pixel format, which encoders want."""
    columns, rows = subsampling(format)
    return width + -width % (1 << columns), height + -height % (1 << rows)


@lru_cache
def format_without_alpha(name: str) -> str | None:
    """The planar format that a frame's first three planes have; None if they are packed, or of another kind."""
    plain = name.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp")
    kinds = [f"yuv{kind}p" for kind in SUBSAMPLINGS.values()] + ["gbrp"]
    known = {kind + depth for kind in kinds for depth in ("", "9le", "10le", "12le", "14le", "16le")}
    return plain if plain in known else None


def nearest_format(format: av.VideoFormat) -> str:
    """The planar format that loses nothing; 8 bits for RGB, full chroma where FFmpeg has no other planes for it."""
    if format.is_rgb or format.has_palette or len(format.components) < 3:
        return "gbrp"
    depth = format.components[0].bits
    kind = SUBSAMPLINGS.get(subsampling(format.name), "444")
    return f"yuv{kind}p" + (f"{depth}le" if depth > 8 else "")


def plane_pixels(plane, dtype) -> np.ndarray:
    """A view of the pixels of a plane, (H, W)."""
    samples = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return samples[:, : plane.width]
