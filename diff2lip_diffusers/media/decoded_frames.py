"""From what a decoder gives to upright pictures."""

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter

from .frame import ColorTags, Frame
from .pixel_formats import bits, format_without_alpha, nearest_format, plane_pixels

Matrix = tuple[int, int, int, int]


def upright_frame(frame: av.VideoFrame, matrix: Matrix, like: Frame | None = None) -> Frame:
    """The upright picture of a decoded frame, of the size and format of `like`, if given.

    Alpha is dropped; palettes and packed formats become planes, more than 8 bits stay what they are. `matrix` is the
    file's `display_matrix`, which is asked for once: each look at a frame's side data keeps the frame alive until
    the next garbage collection.
    """
    tags = ColorTags(frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    name, planes = _planes_as_decoded(frame)
    picture = Frame(tuple(upright(plane, matrix) for plane in planes), _upright_format(name, matrix), tags)
    if picture.format.startswith("gbr"):
        picture = Frame(picture.planes, picture.format, None)
    if like is not None and (picture.width, picture.height, picture.format) != (like.width, like.height, like.format):
        return _converted(picture, like)
    return picture


def _planes_as_decoded(frame: av.VideoFrame) -> tuple[str, list[np.ndarray]]:
    """Name and planes of the frame, brought into one of the formats a [`Frame`] may have."""
    name = format_without_alpha(frame.format.name)
    if name is None and _is_gray(frame.format):
        return _gray_planes(frame)
    if name is None:
        name = nearest_format(frame.format)
        frame = VideoReformatter().reformat(frame, format=name, dst_color_range=frame.color_range or None)
    dtype = np.uint16 if bits(name) > 8 else np.uint8
    return name, [plane_pixels(plane, dtype) for plane in frame.planes[:3]]


def _is_gray(format: av.VideoFormat) -> bool:
    return format.name in {"gray", "ya8"}


def _gray_planes(frame: av.VideoFrame) -> tuple[str, list[np.ndarray]]:
    luma = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)
    step = 2 if frame.format.name == "ya8" else 1
    luma = luma[:, : frame.width * step : step]
    chroma = np.full((-(-frame.height // 2), -(-frame.width // 2)), 128, np.uint8)
    return "yuv420p", [luma, chroma, chroma]


def _converted(picture: Frame, like: Frame) -> Frame:
    """Scaled and converted: for files whose pictures change on the way."""
    tags = like.tags or picture.tags or ColorTags()
    frame = VideoReformatter().reformat(
        picture.as_av_frame(), like.width, like.height, format=like.format, dst_color_range=tags.sws_range
    )
    return Frame(tuple(plane_pixels(plane, like.planes[0].dtype) for plane in frame.planes), like.format, like.tags)


def display_matrix(frame: av.VideoFrame) -> Matrix:
    """a, b, c, d of x' = a·x + c·y, y' = b·x + d·y: how the decoded picture is to be turned and mirrored."""
    try:
        side_data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
    except ValueError:  # a kind of side data that PyAV does not know yet, as Exif data is
        return _turning(frame.rotation)
    if side_data is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.frombuffer(bytes(side_data), np.int32).tolist()
    return a, b, c, d


def _turning(degrees: int) -> Matrix:
    """The display matrix that turns counterclockwise."""
    quarter = round(degrees / 90) % 4
    return ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))[quarter]


def lies_on_its_side(matrix: Matrix) -> bool:
    """Whether width and height of the decoded picture change places."""
    return abs(matrix[1]) > abs(matrix[0])


def upright(plane: np.ndarray, matrix: Matrix) -> np.ndarray:
    """A plane (H, W) turned by the nearest multiple of 90° and mirrored as the display matrix says."""
    x_sign, b, c, y_sign = matrix
    if lies_on_its_side(matrix):
        plane, x_sign, y_sign = plane.swapaxes(0, 1), c, b
    return plane[:: -1 if y_sign < 0 else 1, :: -1 if x_sign < 0 else 1]


def _upright_format(name: str, matrix: Matrix) -> str:
    if not lies_on_its_side(matrix):
        return name
    return name.replace("422", "44O").replace("440", "422").replace("44O", "440")
