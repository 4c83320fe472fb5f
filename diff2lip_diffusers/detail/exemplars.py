"""Exemplars: frames of the video that show the mouth in full resolution."""

from dataclasses import dataclass

import cv2
import numpy as np

# A crop is sharpened to at least twice its size, and to at most so many pixels.
LEAST_FACTOR, MAX_SIZE_PX = 2, 512
# R and the first row are in so many parts of S, so that the row is a whole one in both sizes.
PARTS = 4
# Above the painted part, so that its border has detail on both sides; fraction of the face.
MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class Exemplar:
    """A face that can lend its detail.

    Attributes:
        number: of the frame that shows it, in its video.
        detailed: (r, R, 3) uint8, its lower rows.
        small: (S, S, 3) uint8, all of it, averaged to the model's size.
    """

    number: int
    detailed: np.ndarray
    small: np.ndarray

    @property
    def size(self) -> int:
        """R, in pixels."""
        return self.detailed.shape[1]


def first_row_of(painted_fraction: float, size: int) -> int:
    """The first row of a crop of `size` pixels to which detail is added."""
    return max(0, int((1 - painted_fraction - MARGIN) * size)) // PARTS * PARTS


def sharpened_size(face_px: float, small_size: int) -> int:
    """R for a face of so many pixels: it shows all of its detail, as far as the limits allow.

    Not much larger than the face: what is enlarged and then scaled down again loses its finest detail.
    """
    part = small_size // PARTS
    most = max(LEAST_FACTOR * PARTS, MAX_SIZE_PX // part)
    return part * int(np.clip(np.ceil(face_px / part), LEAST_FACTOR * PARTS, most))


def make_exemplar(number: int, pixels: np.ndarray, small_size: int, painted_fraction: float) -> Exemplar:
    """Makes an exemplar of the pixels in a face's box.

    Args:
        number: of the frame.
        pixels: (h, w, 3) uint8.
        small_size: S.
        painted_fraction: lower part of the face that the model paints, in (0, 1].
    """
    size = sharpened_size(max(pixels.shape[:2]), small_size)
    first = first_row_of(painted_fraction, small_size) * size // small_size
    detailed = scaled(pixels, size, size)[first:].copy()  # a view would keep all rows
    small = cv2.resize(pixels, (small_size, small_size), interpolation=cv2.INTER_AREA)
    return Exemplar(number, detailed, small)


def scaled(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """The pixels (h, w, 3) uint8 in another size; averaged where it is smaller, by sinc where it is larger."""
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LANCZOS4)
