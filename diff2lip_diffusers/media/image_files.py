"""Frames from image files: a still image, or a folder of numbered images."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from ..errors import MediaError
from .frame import Frame

# Pillow's names for the formats of photos and frames; an MPO is a phone's JPEG. FFmpeg reads animations.
STILL_FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "AVIF"}
# These may have several pages, which are no animation; the first page counts.
PAGED_FORMATS = {"MPO", "TIFF"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
# Streams of JPEG frames; Pillow would read only the first one.
STREAM_SUFFIXES = {".mjpeg", ".mjpg"}


def image_files(path: str | Path) -> list[Path]:
    """Returns the files of a video made of images: a still itself, or a folder's images in order of their numbers.

    For a video file the list is empty.

    Raises:
        MediaError: the folder holds no image, or cannot be read.
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
    try:
        with PIL.Image.open(path) as image:
            is_one = image.format in PAGED_FORMATS or getattr(image, "n_frames", 1) == 1
            return is_one and image.format in STILL_FORMATS
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return False


def read_image(path: Path, like: Frame | None = None) -> Frame:
    """Returns an image file as an upright frame with 8 bits and no alpha, scaled to the size of `like` if given.

    Raises:
        MediaError: the file is damaged, too large, or no image.
    """
    try:
        with PIL.Image.open(path) as file:
            image = _as_rgb(PIL.ImageOps.exif_transpose(file))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise MediaError(path, f"is not an image that can be read ({error}); export it again") from error
    if like is not None and image.size != (like.width, like.height):
        image = image.resize((like.width, like.height), PIL.Image.Resampling.LANCZOS)
    return Frame.from_rgb(np.asarray(image))


def _as_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith("I"):  # 16 bits, which Pillow would clip
        return PIL.Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def read_images(files: Sequence[Path], start: int = 0) -> Iterator[Frame]:
    """Yields the frames of image files from number `start` on, all scaled to the size of the first file."""
    first = read_image(files[0])
    yield from (first if index == 0 else read_image(files[index], first) for index in range(start, len(files)))
