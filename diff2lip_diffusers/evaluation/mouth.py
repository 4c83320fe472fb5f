"""The mouth's opening: whether it follows the speech, how wide it goes, and whether it leaks or moves in silence."""

from typing import Protocol

import numpy as np

from ..lipsync.speech import resampled_blocks
from ..media.reader import read_audio
from .agreement import MAX_LAG, agreement
from .aligned_frames import AlignedFrame, NotMeasurable, cut
from .measure_group import ClipView, MeasureGroup

# A frame is silent below both of these: an absolute level, and one under the loud parts of the speech.
SILENCE_DBFS, SILENCE_BELOW_LOUD_DB = -50.0, -35.0
# Shorter pauses belong to the speech: lips need time to close.
MIN_SILENCE_FRAMES = 5
# A mouth is open above this part of the way from the reference's closed to its open mouth.
OPEN_ABOVE = 0.25
CLOSED_QUANTILE, OPEN_QUANTILE = 0.05, 0.95


class OpeningMeter(Protocol):
    """Tells how far a mouth is open, in a unit of its own that grows with the opening."""

    def opening(self, pixels: np.ndarray, frame: AlignedFrame) -> float | None:
        """Returns the opening in `pixels`, the output's or the reference's of `frame`; None without a mouth."""
        ...

    def true_curve(self) -> np.ndarray | None:
        """Returns the true opening of the target speech (N,), in any unit, if it is known."""
        ...

    def original_curve(self) -> np.ndarray | None:
        """Returns the true opening of the original speech (N,), in any unit, if it is known."""
        ...
