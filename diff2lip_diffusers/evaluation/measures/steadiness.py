"""How steady the painted part is: its change from frame to frame, and of its place, beyond the reference's."""

import numpy as np
import torch
import torch.nn.functional as F

from ...boxes import FaceBox
from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .equal_softness import EqualSoftness
from .group import ClipView, MeasureGroup
from .picture import reference_of
from .sharpness import luma

# Size at which the place of the face is compared.
PLACE_PX = 64


class SteadinessGroup(MeasureGroup):
    """`flicker` and `position_jitter`: 0 is as steady as the reference.

    `flicker` is the mean absolute change from frame to frame in the painted part, in levels, less that of the
    reference, which is blurred until it is as soft as the output ([`EqualSoftness`]).
    `position_jitter` is the root mean square of the change from frame to frame of the shift between output and
    reference in the face box, in pixels; the shift is the peak of their phase correlation.

    Source: phase correlation: Kuglin and Hines 1975.
    """

    def __init__(self, view: ClipView):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        if not any(view.boxes):
            raise NotMeasurable("needs a face, and none was found")
        self._last: AlignedFrame | None = None
        self._softness = EqualSoftness()
        self._last_references: list[np.ndarray] = []
        self._last_shift: tuple[float, float] | None = None
        self._changes: list[float] = []
        self._changes_of_references: list[list[float]] = []
        self._moves: list[float] = []

    def add(self, frame: AlignedFrame) -> None:
        """Compares one frame with the one before."""
        box, last = frame.painted_box, self._last
        references = self._softness.references(frame)
        shift = None if frame.box is None else shift_between(frame.output, reference_of(frame), frame.box)
        if box is not None and last is not None and last.box is not None:
            self._changes.append(_change(last.output, frame.output, box))
            pairs = zip(self._last_references, references, strict=True)
            self._changes_of_references.append([_change(before, after, box) for before, after in pairs])
        if shift is not None and self._last_shift is not None:
            self._moves.append((shift[0] - self._last_shift[0]) ** 2 + (shift[1] - self._last_shift[1]) ** 2)
        self._last, self._last_shift, self._last_references = frame, shift, references

    def values(self) -> dict[str, float]:
        """Means over the clip."""
        if not self._changes:
            raise NotMeasurable("needs two frames in a row with a face")
        usual = self._softness.at_output(np.mean(self._changes_of_references, axis=0))
        flicker = float(np.mean(self._changes) - usual)
        return {"flicker": flicker, "position_jitter": float(np.sqrt(np.mean(self._moves)))}


def _change(before: np.ndarray, after: np.ndarray, box: FaceBox) -> float:
    return float(np.abs(cut(after, box).astype(np.int16) - cut(before, box)).mean())


def shift_between(output: np.ndarray, reference: np.ndarray, box: FaceBox) -> tuple[float, float]:
    """Returns how far the output lies to the right of and below the reference in a box, in pixels, to a fraction."""
    parts = [_small(luma(cut(pixels, box))) for pixels in (output, reference)]
    spectra = [np.fft.rfft2(part * np.outer(np.hanning(PLACE_PX), np.hanning(PLACE_PX))) for part in parts]
    cross = spectra[0] * spectra[1].conj()
    surface = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-9))
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    down = _peak(surface[:, column], int(row)) * box.height / PLACE_PX
    right = _peak(surface[row, :], int(column)) * box.width / PLACE_PX
    return right, down


def _small(part: np.ndarray) -> np.ndarray:
    small = F.interpolate(torch.from_numpy(part)[None, None], (PLACE_PX, PLACE_PX), mode="area")[0, 0].numpy()
    return small - small.mean()


def _peak(line: np.ndarray, place: int) -> float:
    """The place of the maximum to a fraction, by a parabola through its neighbors, in [-half, half)."""
    count = len(line)
    before, here, after = line[place - 1], line[place], line[(place + 1) % count]
    curve = before - 2 * here + after
    fraction = 0.0 if curve == 0 else 0.5 * float(before - after) / float(curve)
    return (place + count // 2) % count - count // 2 + fraction
