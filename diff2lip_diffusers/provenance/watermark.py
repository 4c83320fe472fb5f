"""An invisible watermark in the picture, which survives compression: it says that a video was lip-synced."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..media.frame import Frame
from ..media.pixel_formats import bits
from ..media.reader import read_frames

# The pattern has so many cells across and down, whatever the size of the frame: it survives scaling.
CELLS = 96
KEY = 0x0D2F
# Levels of 255 by which flat places change, and how much more places with texture do, which hide it.
STRENGTH, TEXTURE_GAIN, MOST_EXTRA, TEXTURE_PX = 1.5, 0.12, 1.5, 9
# Larger differences between a cell and its neighbors are picture, not mark.
MOST_DIFFERENCE = 1.0
# A video without the mark exceeds this score once in 10^9: its score has a standard normal distribution.
THRESHOLD = 6.0
# Frames that are looked at, evenly spread over the first ones.
NUM_LOOKED_AT, SPACING = 60, 3


@dataclass(frozen=True)
class WatermarkFinding:
    """What a watermark says about a video.

    Attributes:
        found: whether the video has it.
        score: how sure that is, in standard deviations of videos without it.
    """

    found: bool
    score: float


class Watermark(Protocol):
    """A way to mark frames and to find the mark again. Frames are marked one by one, in any order."""

    def marked(self, frame: Frame) -> Frame:
        """A frame with the mark."""
        ...

    def find(self, frames: Iterable[Frame]) -> WatermarkFinding:
        """Looks for the mark in frames of one video."""
        ...


class GridWatermark:
    """A fixed random grid of slightly lighter and darker cells over the whole frame.

    The sum of cells times grid grows with the number of cells; that of an unmarked picture does not, because no
    picture knows the grid. Edges are limited, so that they count no more than flat places do.

    Source: spread spectrum, Cox et al. 1997, "Secure spread spectrum watermarking for multimedia"; the grid, the
    masking by texture and the limit are defined here.
    """

    def marked(self, frame: Frame) -> Frame:
        """A frame with the mark: its luma changes by about 1.5 levels, in texture by up to 3.75."""
        depth = bits(frame.format)
        unit, top = 2 ** (depth - 8), 2**depth - 1
        luma = frame.planes[0].astype(np.float32)
        change = _grid_of(frame.width, frame.height) * _strength(luma / unit) * unit
        # Of RGB all planes change, of YUV the luma does.
        planes = frame.planes if frame.tags is None else frame.planes[:1]
        changed = (np.floor(plane + change + 0.5).clip(0, top).astype(plane.dtype) for plane in planes)
        return Frame((*changed, *frame.planes[len(planes) :]), frame.format, frame.tags)

    def find(self, frames: Iterable[Frame]) -> WatermarkFinding:
        """Looks for the mark in frames of one video."""
        total, count = np.zeros((CELLS, CELLS), np.float32), 0
        for frame in frames:
            luma = frame.planes[0].astype(np.float32) / 2 ** (bits(frame.format) - 8)
            total += _against_neighbors(cv2.resize(luma, (CELLS, CELLS), interpolation=cv2.INTER_AREA))
            count += 1
        if not count:
            return WatermarkFinding(False, 0.0)
        seen = (total / count).clip(-MOST_DIFFERENCE, MOST_DIFFERENCE)
        expected = _against_neighbors(_grid())
        spread = float(np.sqrt((seen**2).sum() * (expected**2).mean()))
        score = float((seen * expected).sum()) / spread if spread > 0 else 0.0
        return WatermarkFinding(score > THRESHOLD, score)


def find_watermark(path: str | Path, watermark: Watermark | None = None) -> WatermarkFinding:
    """Looks for the watermark in a video, an image or a folder of images.

    Raises:
        MediaError: if it cannot be read.
    """
    return (watermark or GridWatermark()).find(_looked_at(path))


def _looked_at(path: str | Path) -> Iterator[Frame]:
    yield from islice(read_frames(path), 0, NUM_LOOKED_AT * SPACING, SPACING)


@lru_cache(maxsize=1)
def _grid() -> np.ndarray:
    """The cells (96, 96) float32, -1 or 1; the same on every machine."""
    return (np.random.Generator(np.random.PCG64(KEY)).integers(0, 2, (CELLS, CELLS)) * 2 - 1).astype(np.float32)


@lru_cache(maxsize=4)
def _grid_of(width: int, height: int) -> np.ndarray:
    """The cells scaled to a frame (H, W); smooth, if they are larger than a pixel."""
    way = cv2.INTER_LINEAR if min(width, height) >= CELLS else cv2.INTER_AREA
    return cv2.resize(_grid(), (width, height), interpolation=way)


def _strength(luma: np.ndarray) -> np.ndarray:
    """How much each pixel (H, W) may change, in levels of 255."""
    size = (TEXTURE_PX, TEXTURE_PX)
    mean = cv2.blur(luma, size)
    deviation = np.sqrt(np.maximum(cv2.blur(luma * luma, size) - mean * mean, 0))
    return STRENGTH * (1 + np.minimum(MOST_EXTRA, TEXTURE_GAIN * deviation))


def _against_neighbors(cells: np.ndarray) -> np.ndarray:
    return cells - cv2.blur(cells, (3, 3))
