"""Frames in the source's pixel format: pixels that are not painted over stay bit-identical.

Letters in shapes: H, W height and width of the upright frame; h, w of a part of it.
"""

from dataclasses import astuple, dataclass
from functools import cached_property

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from ..boxes import FaceBox
from .pixel_formats import plane_pixels, subsampling

# FFmpeg's number for "not stated" (matrix, primaries, transfer).
UNSPECIFIED = 2
# Swscale numbers these matrices as AVColorSpace does. It has one number for all of BT.601, which FFmpeg also assumes
# for videos that state nothing.
SWS_MATRICES, SWS_BT601 = {1, 4, 7, 9}, 5
# FFmpeg's default YUV -> RGB path darkens by about one level in each generation. Swscale's flags bilinear,
# full_chroma_int and accurate_rnd avoid this. With area, full_chroma_inp and accurate_rnd on the way back,
# YUV -> RGB -> YUV -> RGB keeps 60 dB and does not drift over generations. Area also scales down cleanly.
EXACT_TO_RGB = 1 << 1 | 1 << 13 | 1 << 18
EXACT_TO_YUV = 1 << 5 | 1 << 14 | 1 << 18
AREA = 1 << 5
# The color at the edge of a part depends on this many pixels around it, rounded up to whole chroma samples.
CHROMA_REACH_PX = 4


@dataclass(frozen=True)
class ColorTags:
    """How to interpret the YUV values of a video, in FFmpeg's numbers; the defaults mean "not stated".

    Attributes:
        matrix: AVColorSpace, e.g. 1 for BT.709; 2 is read and written as BT.601, as FFmpeg does.
        range: 1 for 16–235, 2 for 0–255; 0 is read and written as 16–235.
        primaries: AVColorPrimaries; passed on unused.
        transfer: AVColorTransferCharacteristic; passed on unused.
    """

    matrix: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def sws_matrix(self) -> int:
        """Swscale's number of the matrix; BT.601 for unknown ones."""
        return self.matrix if self.matrix in SWS_MATRICES else SWS_BT601

    @property
    def sws_range(self) -> int:
        """The range with its default: 1 or 2."""
        return self.range or ColorRange.MPEG


@dataclass(frozen=True)
class Frame:
    """One upright frame. It never changes: painting returns a new one.

    Attributes:
        planes: Y, U, V or G, B, R: (H, W), chroma as the format says, uint8 or uint16; do not write to them.
        format: FFmpeg's name, `yuv4..p` or `gbrp` with an optional bit depth.
        tags: the color tags of a YUV frame; None for GBR.
    """

    planes: tuple[np.ndarray, ...]
    format: str
    tags: ColorTags | None

    @property
    def height(self) -> int:
        """In pixels."""
        return self.planes[0].shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.planes[0].shape[1]

    @property
    def nbytes(self) -> int:
        """Memory that the planes take, in bytes."""
        return sum(plane.nbytes for plane in self.planes)

    @classmethod
    def from_rgb(cls, rgb: np.ndarray) -> "Frame":
        """Makes a frame from an array uint8 (H, W, 3)."""
        return cls((rgb[..., 1], rgb[..., 2], rgb[..., 0]), "gbrp", None)

    def outline(self) -> "Frame":
        """Returns a black frame of the same size and format that takes no memory."""
        planes = (np.broadcast_to(plane.dtype.type(0), plane.shape) for plane in self.planes)
        return Frame(tuple(planes), self.format, self.tags)

    def rgb(self, box: FaceBox | None = None) -> np.ndarray:
        """Returns a copy of the pixels, uint8 (h, w, 3), of the frame or of a box of whole pixels inside it."""
        box = box or FaceBox(0, 0, self.width, self.height)
        part = self._grown_to_grid(box, CHROMA_REACH_PX)
        pixels = self._part(part)._to_rgb(int(part.width), int(part.height), EXACT_TO_RGB)
        return np.ascontiguousarray(pixels[_inside(box, part)])

    def thumbnail(self, width: int, height: int) -> np.ndarray:
        """Returns the frame scaled down, uint8 RGB (height, width, 3); its own pixels if it has that size."""
        if (width, height) == (self.width, self.height):
            return self.rgb()
        return self._to_rgb(width, height, AREA)

    def blended(self, box: FaceBox, rgb: np.ndarray, opacity: np.ndarray) -> "Frame":
        """Returns a new frame with pixels blended in; where the opacity is 0, nothing changes.

        Args:
            box: whole pixels, inside the frame.
            rgb: (h, w, 3) float32 in [0, 255].
            opacity: (h, w) float32 in [0, 1].
        """
        part = self._grown_to_grid(box, 0)
        margins = [(int(box.y1 - part.y1), int(part.y2 - box.y2)), (int(box.x1 - part.x1), int(part.x2 - box.x2))]
        painted = self._planes_of(np.pad(rgb, [*margins, (0, 0)], mode="edge"))
        weights = self._weights_of(np.pad(opacity, margins))
        layers = zip(self.planes, self._areas(part), painted, weights, strict=True)
        return Frame(tuple(_blended(*layer) for layer in layers), self.format, self.tags)

    def to_av_frame(self, format: str, width: int, height: int, tags: ColorTags) -> av.VideoFrame:
        """Returns PyAV's frame for an encoder; the same values where the encoder's format is this frame's.

        Args:
            format: FFmpeg's name.
            width: W or W + 1, for encoders that need even sizes: the last column is repeated.
            height: H or H + 1, likewise.
            tags: the color tags that the encoder states.
        """
        padded = self._padded(width - self.width, height - self.height)
        if self.format == format:
            return padded.as_av_frame()
        return VideoReformatter().reformat(
            padded.as_av_frame(),
            format=format,
            src_colorspace=tags.sws_matrix,
            dst_colorspace=tags.sws_matrix,
            dst_color_range=tags.sws_range,
            interpolation=EXACT_TO_YUV,
        )

    @cached_property
    def _chroma_steps(self) -> tuple[int, int]:
        """How many pixels share a chroma sample, across and down."""
        columns, rows = subsampling(self.format)
        return 1 << columns, 1 << rows

    def _grown_to_grid(self, box: FaceBox, reach: int) -> FaceBox:
        """Returns the box grown by `reach` pixels and to whole chroma samples."""
        step = max(self._chroma_steps)
        x1, y1, x2, y2 = astuple(box.padded(reach, reach, reach, reach))
        grid = FaceBox(x1 // step * step, y1 // step * step, -(-x2 // step) * step, -(-y2 // step) * step)
        return grid.clipped(self.width, self.height)

    def _areas(self, part: FaceBox) -> list[tuple[slice, slice]]:
        """Returns where a part on the chroma grid lies in each plane."""
        columns, rows = self._chroma_steps
        steps = [(1, 1), (columns, rows), (columns, rows)]
        x1, y1, x2, y2 = (int(edge) for edge in astuple(part))
        return [(slice(y1 // down, -(-y2 // down)), slice(x1 // across, -(-x2 // across))) for across, down in steps]

    def _part(self, part: FaceBox) -> "Frame":
        planes = (plane[area] for plane, area in zip(self.planes, self._areas(part), strict=True))
        return Frame(tuple(planes), self.format, self.tags)

    def _padded(self, columns: int, rows: int) -> "Frame":
        """Returns the frame with its last column and row repeated, in the planes that have one sample per pixel."""
        if not (columns or rows):
            return self
        across, down = self._chroma_steps
        chroma = (0, rows if down == 1 else 0), (0, columns if across == 1 else 0)
        paddings = [((0, rows), (0, columns)), chroma, chroma]
        planes = (np.pad(plane, padding, mode="edge") for plane, padding in zip(self.planes, paddings, strict=True))
        return Frame(tuple(planes), self.format, self.tags)

    def as_av_frame(self) -> av.VideoFrame:
        """Returns a copy as PyAV's frame."""
        av_frame = av.VideoFrame(self.width, self.height, self.format)
        for target, source in zip(av_frame.planes, self.planes, strict=True):
            plane_pixels(target, source.dtype)[...] = source
        if self.tags:
            av_frame.colorspace, av_frame.color_range = self.tags.matrix, self.tags.range
            av_frame.color_primaries, av_frame.color_trc = self.tags.primaries, self.tags.transfer
        return av_frame

    def _to_rgb(self, width: int, height: int, interpolation: int) -> np.ndarray:
        if self.format == "gbrp" and (width, height) == (self.width, self.height):
            return np.stack([self.planes[2], self.planes[0], self.planes[1]], axis=-1)
        av_frame = self.as_av_frame()
        if self.tags and self.tags.matrix not in {*SWS_MATRICES, UNSPECIFIED}:
            av_frame.colorspace = SWS_BT601  # swscale refuses matrices that it does not know
        rgb = VideoReformatter().reformat(av_frame, width, height, format="rgb24", interpolation=interpolation)
        return rgb.to_ndarray()

    def _planes_of(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns pixels (h, w, 3) in [0, 255] as planes of this frame's format."""
        if self.format == "gbrp":
            return pixels[..., 1], pixels[..., 2], pixels[..., 0]
        levels = pixels.clip(0, 255)
        levels += np.float32(0.5)
        levels = np.floor(levels, out=levels).astype(np.uint8)
        tags = self.tags or ColorTags()
        av_frame = VideoReformatter().reformat(
            av.VideoFrame.from_ndarray(levels, format="rgb24"),
            format=self.format,
            src_colorspace=tags.sws_matrix,
            dst_colorspace=tags.sws_matrix,
            dst_color_range=tags.sws_range,
            interpolation=EXACT_TO_YUV,
        )
        return tuple(plane_pixels(plane, self.planes[0].dtype) for plane in av_frame.planes)

    def _weights_of(self, opacity: np.ndarray) -> tuple[np.ndarray, ...]:
        """Returns the opacity (h, w) for each plane: for chroma, the mean over the pixels that share a sample."""
        columns, rows = self._chroma_steps
        if columns == rows == 1:
            return opacity, opacity, opacity
        height, width = opacity.shape
        whole = np.pad(opacity, ((0, -height % rows), (0, -width % columns)), mode="edge")
        chroma = whole.reshape(whole.shape[0] // rows, rows, whole.shape[1] // columns, columns).mean(axis=(1, 3))
        return opacity, chroma, chroma


def _inside(box: FaceBox, part: FaceBox) -> tuple[slice, slice]:
    """Returns rows and columns of a box, counted from the upper left corner of the part that holds it."""
    rows = slice(int(box.y1 - part.y1), int(box.y2 - part.y1))
    return rows, slice(int(box.x1 - part.x1), int(box.x2 - part.x1))


def _blended(plane: np.ndarray, area: tuple[slice, slice], painted: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Returns a copy of the plane with an area blended in, halves rounded up."""
    result = plane.copy()
    top = np.iinfo(plane.dtype).max
    mixture = (1 - opacity) * plane[area] + opacity * painted
    result[area] = np.floor(mixture + np.float32(0.5)).clip(0, top).astype(plane.dtype)
    return result
