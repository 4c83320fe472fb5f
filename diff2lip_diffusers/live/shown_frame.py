"""A frame that an engine shows, with all that painting its mouth needs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..boxes import FaceBox
from ..media.frame import Frame


@dataclass(eq=False)
class ShownFrame:
    """A source frame.

    Attributes:
        frame: as it was recorded.
        box: the face, in whole pixels; None where it is not seen: nothing is painted.
        pixels: the frame inside the box, (h, w, 3) uint8.
        crop: the same in the model's size, (S, S, 3) uint8.
        rest: the frame with the mouth at rest; None as it was recorded.
    """

    frame: Frame
    box: FaceBox | None = None
    pixels: np.ndarray | None = None
    crop: np.ndarray | None = None
    rest: Frame | None = None

    def at_rest(self) -> np.ndarray:
        """The picture with the mouth at rest, (H, W, 3) uint8."""
        return (self.rest or self.frame).rgb()


class FrameSource(Protocol):
    """Gives the frames that the face is painted in: [`IdleClip`] or [`Camera`]."""

    width: int
    height: int

    def at(self, tick: int) -> ShownFrame:
        """The frame to show at a number of output frames."""
        ...
