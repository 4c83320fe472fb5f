"""Converts decoded video frames to upright frames in planar formats."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter

from .frame import ColorTags, Frame
from .pixel_formats import bits, format_without_alpha, nearest_format, plane_pixels

Matrix = tuple[int, int, int, int]
# By FFmpeg's names.
OTHER_SIDE_DATA = tuple(kind.name for kind in SideDataType if kind is not SideDataType.DISPLAYMATRIX)


def upright_frame(av_frame: av.VideoFrame, matrix: Matrix, like: Frame | None = None) -> Frame:
    """Returns a decoded frame upright, with the size and format of `like` if given.

    Alpha is dropped. Palettes and packed formats become planes; more than 8 bits are kept.

    Args:
        av_frame: what PyAV decoded.
        matrix: the file's `display_matrix`. Read it once per file: each look at a frame's side data keeps the frame
            alive until the next garbage collection.
        like: the first frame of the file.
    """
    tags = ColorTags(av_frame.colorspace, av_frame.color_range, av_frame.color_primaries, av_frame.color_trc)
    name, planes = _planes_as_decoded(av_frame)
    frame = Frame(tuple(upright(plane, matrix) for plane in planes), _upright_format(name, matrix), tags)
    if frame.format.startswith("gbr"):
        frame = Frame(frame.planes, frame.format, None)
    if like is not None and (frame.width, frame.height, frame.format) != (like.width, like.height, like.format):
        return _converted(frame, like)
    return frame


def _planes_as_decoded(av_frame: av.VideoFrame) -> tuple[str, list[np.ndarray]]:
    """Returns name and planes of the frame in one of the formats of [`Frame`]."""
    name = format_without_alpha(av_frame.format.name)
    if name is None and _is_gray(av_frame.format):
        return _gray_planes(av_frame)
    if name is None:
        name = nearest_format(av_frame.format)
        av_frame = VideoReformatter().reformat(av_frame, format=name, dst_color_range=av_frame.color_range or None)
    dtype = np.uint16 if bits(name) > 8 else np.uint8
    return name, [plane_pixels(plane, dtype) for plane in av_frame.planes[:3]]


def _is_gray(format: av.VideoFormat) -> bool:
    return format.name in {"gray", "ya8"}


def _gray_planes(av_frame: av.VideoFrame) -> tuple[str, list[np.ndarray]]:
    luma = np.frombuffer(memoryview(av_frame.planes[0]), np.uint8).reshape(av_frame.height, -1)
    step = 2 if av_frame.format.name == "ya8" else 1
    luma = luma[:, : av_frame.width * step : step]
    chroma = np.full((-(-av_frame.height // 2), -(-av_frame.width // 2)), 128, np.uint8)
    return "yuv420p", [luma, chroma, chroma]


def _converted(frame: Frame, like: Frame) -> Frame:
    """Returns the frame scaled and converted to match `like`, for files that change on the way."""
    tags = like.tags or frame.tags or ColorTags()
    av_frame = VideoReformatter().reformat(
        frame.as_av_frame(), like.width, like.height, format=like.format, dst_color_range=tags.sws_range
    )
    return Frame(tuple(plane_pixels(plane, like.planes[0].dtype) for plane in av_frame.planes), like.format, like.tags)


def display_matrix(av_frame: av.VideoFrame) -> Matrix:
    """Returns how the decoded frame must be turned and mirrored: a, b, c, d of x' = a·x + c·y, y' = b·x + d·y."""
    try:
        side_data = _only_display_matrix(av_frame).side_data.get(SideDataType.DISPLAYMATRIX)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except ValueError:  # side data of a kind that PyAV does not know, such as Exif data
        return _rotation(av_frame.rotation)
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).tolist()
    return a, b, c, d


def _only_display_matrix(av_frame: av.VideoFrame) -> av.VideoFrame:
    """Returns the frame without its other side data.

    A look at side data that has a name, such as a color profile (ICC), crashes the process: PyAV frees the name twice.
    """
    graph = Graph()
    time_base = av_frame.time_base or Fraction(1)
    steps = [
        graph.add_buffer(width=av_frame.width, height=av_frame.height, format=av_frame.format, time_base=time_base),
        *(graph.add("sidedata", f"mode=delete:type={name}") for name in OTHER_SIDE_DATA),
        graph.add("buffersink"),
    ]
    for step, following in pairwise(steps):
        step.link_to(following)
    graph.configure()
    graph.push(av_frame)
    return graph.pull()  # pyright: ignore[reportReturnType]  # video in, video out


def _rotation(degrees: int) -> Matrix:
    """Returns the display matrix that turns counterclockwise."""
    quarter = round(degrees / 90) % 4
    return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarter]


def swaps_sides(matrix: Matrix) -> bool:
    """Tells whether the decoded frame's width becomes the upright frame's height."""
    return abs(matrix[1]) > abs(matrix[0])


def upright(plane: np.ndarray, matrix: Matrix) -> np.ndarray:
    """Returns a plane (H, W) turned by the nearest multiple of 90° and mirrored as the display matrix says."""
    x_sign, b, c, y_sign = matrix
    if swaps_sides(matrix):
        plane, x_sign, y_sign = plane.swapaxes(0, 1), c, b
    return plane[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1]


def _upright_format(name: str, matrix: Matrix) -> str:
    if not swaps_sides(matrix):
        return name
    return name.replace("422", "44O").replace("440", "422").replace("44O", "440")
