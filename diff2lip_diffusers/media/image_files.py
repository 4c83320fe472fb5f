"""Frames from image files: a still image, or a folder of numbered images."""

import re
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from ..errors import MediaError
from .containers import LARGEST_PIXELS, MAX_STILL_PIXELS, check_regular
from .frame import Frame

# Pillow's names for the formats of photos and frames; an MPO is a phone's JPEG. FFmpeg reads animations. No other
# format is tried, whatever the suffix: for some of them Pillow starts another program.
STILL_FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "AVIF"}
# These may have several pages, which are no animation; the first page counts.
PAGED_FORMATS = {"MPO", "TIFF"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
# Streams of JPEG frames; Pillow would read only the first one.
STREAM_SUFFIXES = {".mjpeg", ".mjpg"}
# Decoding takes up to 16 bytes a pixel. A larger JPEG is decoded in a half, a quarter or an eighth of its size, unless
# it is progressive: then all of its coefficients are held in memory.
MAX_DECODED_PIXELS = 8192 * 6144
# RuntimeError is that of the AVIF decoder.
DAMAGED = (
    *(OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, OverflowError, MemoryError, RuntimeError),
    struct.error,
)

_warnings_lock = threading.Lock()


def image_files(path: str | Path) -> list[Path]:
    """Returns the files of a video made of images: a still itself, or a folder's images in order of their numbers.

    For a video file the list is empty.

    Raises:
        MediaError: the folder holds no image, or cannot be read; the file is a pipe or a device.
    """
    path = Path(path)
    if path.is_dir():
        return _numbered(path)
    return [path] if path.is_file() and path.suffix.lower() not in STREAM_SUFFIXES and _is_still(path) else []


def _numbered(folder: Path) -> list[Path]:
    try:
        found = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
    except OSError as error:
        raise MediaError(folder, f"cannot be read ({error.strerror}); check its permissions") from error
    if not found:
        raise MediaError(folder, "is a folder without images; pass a video file, or a folder of numbered PNG or JPEG")
    return sorted(found, key=_by_number)


def _by_number(file: Path) -> list[str | int]:
    """Returns a sort key that puts "frame_10" after "frame_9"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)]


def _is_still(path: Path) -> bool:
    """Whether an image file is no animation.

    Raises:
        MediaError: it is one with more pixels than any decoder may give: FFmpeg would not say why it reads nothing.
    """
    try:
        with _opened(path) as image:
            if image.format in PAGED_FORMATS or getattr(image, "n_frames", 1) == 1:
                return True
            if image.width * image.height > LARGEST_PIXELS:
                raise MediaError(path, f"has frames of {image.width} x {image.height} pixels; scale it down")
            return False
    except PIL.Image.DecompressionBombError:
        return True  # which `read_image` refuses
    except DAMAGED:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[PIL.Image.Image]:
    """Opens an image of one of the known formats; Pillow's warnings, of damaged Exif data for example, are dropped."""
    PIL.Image.init()
    known = sorted(STILL_FORMATS & PIL.Image.OPEN.keys())
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        with PIL.Image.open(path, formats=known) as image:
            yield image


def read_image(path: Path, like: Frame | None = None, max_pixels: int = MAX_STILL_PIXELS) -> Frame:
    """Returns an image file as an upright frame with 8 bits and no alpha.

    Args:
        path: the file.
        like: the frame whose size it gets.
        max_pixels: an image with more is scaled down.

    Raises:
        MediaError: the file is damaged, too large, no regular file, or no image of a known format.
    """
    check_regular(path)
    try:
        with _opened(path) as file:
            image = _as_rgb(_upright(file, path, max_pixels))
            if like is not None and image.size != (like.width, like.height):
                image = image.resize((like.width, like.height), PIL.Image.Resampling.LANCZOS)
            elif image.width * image.height > max_pixels:
                image = image.resize(_size_within(image.width, image.height, max_pixels), PIL.Image.Resampling.LANCZOS)
            return Frame.from_rgb(np.asarray(image))
    except PIL.Image.DecompressionBombError as error:
        raise MediaError(path, "has far too many pixels; export it smaller") from error
    except DAMAGED as error:
        raise MediaError(path, f"is not an image that can be read ({error}); export it again") from error


def _upright(file: PIL.Image.Image, path: Path, max_pixels: int) -> PIL.Image.Image:
    """Decodes an image, a large JPEG in reduced size, and turns it as its Exif data says."""
    width, height = file.size
    if width * height > max_pixels and not file.info.get("progressive"):
        file.draft(None, _size_within(width, height, max_pixels))  # only JPEG has it
    if file.width * file.height > MAX_DECODED_PIXELS:
        raise MediaError(
            path, f"has {width} x {height} pixels, more than {MAX_DECODED_PIXELS}; export it smaller, or as JPEG"
        )
    PIL.ImageOps.exif_transpose(file, in_place=True)
    return file


def _size_within(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Returns the largest even size with about these sides' ratio and at most so many pixels."""
    shrink = (max_pixels / (width * height)) ** 0.5
    return max(2, int(width * shrink) // 2 * 2), max(2, int(height * shrink) // 2 * 2)


def _as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip
        return PIL.Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def read_images(files: Sequence[Path], start: int = 0, max_pixels: int = MAX_STILL_PIXELS) -> Iterator[Frame]:
    """Yields the frames of image files from number `start` on, all scaled to the size of the first file."""
    first = read_image(files[0], max_pixels=max_pixels)
    for index in range(start, len(files)):
        yield first if index == 0 else read_image(files[index], first, max_pixels)
