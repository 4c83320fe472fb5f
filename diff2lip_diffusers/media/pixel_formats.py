"""Pixel formats by FFmpeg's names: bit depth, chroma subsampling, and which one holds a frame without loss."""

from functools import lru_cache

import av
import numpy as np

# Keyed by log2 of the chroma's (width, height) reduction.
SUBSAMPLINGS = {(1, 1): "420", (1, 0): "422", (0, 1): "440", (0, 0): "444"}


@lru_cache
def subsampling(name: str) -> tuple[int, int]:
    """Returns log2 of the chroma's reduction in (width, height)."""
    format = av.VideoFormat(name, 16, 16)
    return (16 // format.chroma_width(16)).bit_length() - 1, (16 // format.chroma_height(16)).bit_length() - 1


@lru_cache
def bits(name: str) -> int:
    """Returns the bits per sample."""
    return av.VideoFormat(name).components[0].bits


@lru_cache
def bytes_per_pixel(name: str) -> float:
    """Returns the memory that a frame of a planar format takes for each of its pixels, without alpha."""
    columns, rows = subsampling(name)
    return (1 + 2 / (1 << columns + rows)) * (2 if bits(name) > 8 else 1)


def encodable_size(width: int, height: int, format: str) -> tuple[int, int]:
    """Returns the size rounded up to whole chroma samples, as encoders require."""
    columns, rows = subsampling(format)
    return width + -width % (1 << columns), height + -height % (1 << rows)


@lru_cache
def format_without_alpha(name: str) -> str | None:
    """Returns the planar format of a frame's first three planes; None for packed and other formats."""
    plain = name.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp")
    kinds = [f"yuv{kind}p" for kind in SUBSAMPLINGS.values()] + ["gbrp"]
    known = {kind + depth for kind in kinds for depth in ("", "9le", "10le", "12le", "14le", "16le")}
    return plain if plain in known else None


def nearest_format(format: av.VideoFormat) -> str:
    """Returns the planar format to convert to.

    RGB becomes 8 bits; YUV loses nothing and gets full chroma where FFmpeg has no planar format with its subsampling.
    """
    if format.is_rgb or format.has_palette or len(format.components) < 3:
        return "gbrp"
    depth = format.components[0].bits
    kind = SUBSAMPLINGS.get(subsampling(format.name), "444")
    return f"yuv{kind}p" + (f"{depth}le" if depth > 8 else "")


def plane_pixels(plane, dtype) -> np.ndarray:
    """Returns a view (H, W) of the pixels of a plane."""
    samples = np.frombuffer(plane, dtype).reshape(plane.height, -1)
    return samples[:, : plane.width]
