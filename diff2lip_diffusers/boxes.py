"""Face boxes, and what a detector says about them."""

from dataclasses import astuple, dataclass

import numpy as np


@dataclass(frozen=True)
class FaceBox:
    """A rectangle in pixels; right and bottom are exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """In pixels, 0 for an empty box."""
        return max(0, self.x2 - self.x1)

    @property
    def height(self) -> float:
        """In pixels, 0 for an empty box."""
        return max(0, self.y2 - self.y1)

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    def iou(self, other: "FaceBox") -> float:
        """Returns the intersection over union with another box, in [0, 1]."""
        shared = FaceBox(
            max(self.x1, other.x1), max(self.y1, other.y1), min(self.x2, other.x2), min(self.y2, other.y2)
        ).area
        union = self.area + other.area - shared
        return shared / union if union else 0.0

    def padded(self, top: float, bottom: float, left: float, right: float) -> "FaceBox":
        """Returns the box grown on each side by this many pixels."""
        return FaceBox(self.x1 - left, self.y1 - top, self.x2 + right, self.y2 + bottom)

    def scaled(self, sx: float, sy: float) -> "FaceBox":
        """Returns the same place in a frame `sx` times as wide and `sy` times as high."""
        return FaceBox(self.x1 * sx, self.y1 * sy, self.x2 * sx, self.y2 * sy)

    def clipped(self, width: int, height: int) -> "FaceBox":
        """Returns the part inside a frame of `width` x `height` pixels."""
        return FaceBox(max(0, self.x1), max(0, self.y1), min(width, self.x2), min(height, self.y2))

    def rounded(self) -> "FaceBox":
        """Returns the box with each edge rounded to whole pixels."""
        return FaceBox(*(int(np.floor(edge + 0.5)) for edge in astuple(self)))


@dataclass(frozen=True)
class Detection:
    """One detected face: its box and the detector's confidence in [0, 1]."""

    box: FaceBox
    score: float


def voxceleb2_box(width: int, height: int) -> FaceBox:
    """Returns the face's box in a VoxCeleb2 frame, which is a face crop already.

    Source: the original program, recorded in `tests/data/pipeline.npz`.
    """
    margin = int(1.8 * width / 8)
    return FaceBox(margin, 0, width - margin, height - int(2.36 * height / 8))
