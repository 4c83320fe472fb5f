"""A frame that an engine shows, with all that painting its mouth needs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..boxes import FaceBox


@dataclass(eq=False)
class ShownFrame:
    """A source frame.

    Attributes:
        rgb: as it was recorded, (H, W, 3) uint8.
        box: the face, in whole pixels; None where it is not seen: nothing is painted.
        crop: the frame inside the box in the model's size, (S, S, 3) uint8.
        rest: the frame inside the box with the mouth at rest, (h, w, 3) uint8; None as it was recorded.
    """

    rgb: np.ndarray
    box: FaceBox | None = None
    crop: np.ndarray | None = None
    rest: np.ndarray | None = None

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns of the face."""
        assert self.box is not None
        return slice(int(self.box.y1), int(self.box.y2)), slice(int(self.box.x1), int(self.box.x2))

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes, with the mouth at rest."""
        return self.rgb.nbytes + (0 if self.box is None else self.rgb[self.area].nbytes)

    def at_rest(self) -> np.ndarray:
        """A copy of the picture with the mouth at rest, (H, W, 3) uint8."""
        picture = self.rgb.copy()
        if self.rest is not None:
            picture[self.area] = self.rest
        return picture


class FrameSource(Protocol):
    """Gives the frames that the face is painted in: [`IdleClip`] or [`Camera`]."""

    width: int
    height: int

    def at(self, tick: int) -> ShownFrame:
        """The frame to show at a number of output frames."""
        ...
