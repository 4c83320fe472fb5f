"""Pictures from image files: a single still, or a folder of numbered frames."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from ..errors import MediaError
from .frame import Frame

# What Pillow calls the formats of photos and frames. Animations are left to FFmpeg; an MPO is a phone's JPEG.
STILL_FORMATS = {"PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF", "AVIF"}
# Of several pages, which are no animation, the first one counts.
PAGED_FORMATS = {"MPO", "TIFF"}
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
# Streams of JPEG pictures, of which Pillow would see the first only.
STREAM_SUFFIXES = {".mjpeg", ".mjpg"}


def image_files(path: str | Path) -> list[Path]:
    """The files of a video made of images: a still itself, or a folder's images by number; none for a video file.

    Raises:
        MediaError: the folder holds no image, or must not be read.
    """
    path = Path(path)
    if path.is_dir():
        return _numbered(path)
    return [path] if path.is_file() and path.suffix.lower() not in STREAM_SUFFIXES and _is_still(path) else []


def _numbered(folder: Path) -> list[Path]:
    try:
        found = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
    except OSError as error:
        raise MediaError(folder, f"must not be read ({error.strerror}); check its permissions") from error
    if not found:
        raise MediaError(folder, "is a folder without images; pass a video file, or a folder of numbered PNG or JPEG")
    return sorted(found, key=_by_number)


def _by_number(file: Path) -> list[str | int]:
    """Splits "frame_10" so that it comes after "frame_9"."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", file.name)]


def _is_still(path: Path) -> bool:
    try:
        with PIL.Image.open(path) as image:
            is_one = image.format in PAGED_FORMATS or getattr(image, "n_frames", 1) == 1
            return is_one and image.format in STILL_FORMATS
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError):
        return False


def read_image(path: Path, like: Frame | None = None) -> Frame:
    """An image file, upright, without its alpha, in 8 bits; of the size of `like`, if given.

    Raises:
        MediaError: it is damaged, too large, or no image.
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


def read_images(files: Sequence[Path], start: int = 0):
    """The pictures of image files from number `start` on, all of the first one's size."""
    first = read_image(files[0])
    yield from (first if index == 0 else read_image(files[index], first) for index in range(start, len(files)))
