"""Frames of a session: as they are planned, and as they are given out."""

from dataclasses import dataclass

import numpy as np
import torch

from .shown_frame import ShownFrame


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A picture and the sound that belongs to it.

    Attributes:
        number: counts from 0 at the rate of the engine; left-out numbers were skipped.
        time_s: when it is due, since the first frame.
        picture: (H, W, 3) uint8.
        sound: (T,) float32 in [-1, 1], as long as the frame.
        sampling_rate: of the sound, in Hz: that of the speech.
        is_speech: whether the face speaks; otherwise the sound is silence.
        is_late: whether it was not painted in time and shows the picture before.
        ends_segment: whether the speech up to a `flush` has been given out completely.
        latency_s: time from the arrival of its speech; None at rest.
    """

    number: int
    time_s: float
    picture: np.ndarray
    sound: np.ndarray
    sampling_rate: int
    is_speech: bool = False
    is_late: bool = False
    ends_segment: bool = False
    latency_s: float | None = None


@dataclass(eq=False)
class Planned:
    """A frame of speech and its tick.

    Attributes:
        tick: when it is shown.
        shown: the source frame.
        window: the mel window (80, 16); None where the mouth rests.
        sound: (T,) float32.
        sampling_rate: of the sound.
        arrival_s: since when its speech could be spoken.
        is_fresh: whether it does not continue the frame before.
        picture: (H, W, 3) uint8, when it is painted.
        is_taken: whether the painter has it.
    """

    tick: int
    shown: ShownFrame
    window: torch.Tensor | None
    sound: np.ndarray
    sampling_rate: int
    arrival_s: float
    is_fresh: bool = False
    picture: np.ndarray | None = None
    is_taken: bool = False
