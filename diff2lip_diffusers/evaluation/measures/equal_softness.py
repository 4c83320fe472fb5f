"""The reference, blurred until it is as soft as the output, so that softness alone does not change other measures.

The opening of a drawn mouth is read from colors, and flicker from differences of pixels: a blur makes both smaller. So
an output is compared with a reference of its own softness. How soft an output is, is its measure of sharpness.
"""

from collections.abc import Sequence

import numpy as np

from ...boxes import FaceBox
from ..aligned_frames import AlignedFrame, cut
from ..gaussian_blur import gaussian_blur
from .picture import reference_of
from .sharpness import high_band_energy, luma

# Widths of the Gaussians that the reference is blurred by, as parts of the face box's width. Between two of them,
# what is measured is interpolated.
WIDTHS = (0.0, 1 / 160, 1 / 96, 1 / 64, 1 / 40)


class EqualSoftness:
    """Blurs references by several widths, and tells afterwards which of them the output is as soft as.

    The softness of all frames together decides: the energy of the high band in the painted part.
    """

    def __init__(self):
        self._output_energy = 0.0
        self._energies = np.zeros(len(WIDTHS))

    def references(self, frame: AlignedFrame) -> list[np.ndarray]:
        """Returns the reference (H, W, 3) uint8 with its painted part blurred by each of the widths."""
        pixels, box = reference_of(frame), frame.painted_box
        if box is None or min(box.width, box.height) < 1:
            return [pixels] * len(WIDTHS)
        blurred = [pixels, *(_with_blurred_part(pixels, box, width * box.width) for width in WIDTHS[1:])]
        self._output_energy += high_band_energy(luma(cut(frame.output, box)))
        self._energies += [high_band_energy(luma(cut(some, box))) for some in blurred]
        return blurred

    def at_output(self, values: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Returns what was measured on references of each width, interpolated to the softness of the output.

        Args:
            values: (W, ...), one entry per width.
        """
        position = self._position()
        below = min(int(position), len(WIDTHS) - 2)
        share = position - below
        return (1 - share) * np.asarray(values[below]) + share * np.asarray(values[below + 1])

    def _position(self) -> float:
        """The place of the output between the widths: 0 is as sharp as the reference or sharper."""
        if not self._energies.all():
            return 0.0
        falling = -np.log(np.maximum(self._energies, 1e-9))
        return float(np.interp(-np.log(max(self._output_energy, 1e-9)), falling, np.arange(len(WIDTHS))))


def _with_blurred_part(frame: np.ndarray, box: FaceBox, sigma_px: float) -> np.ndarray:
    """Returns a frame with a part blurred; what is around the part takes part in the blur."""
    reach = int(3 * sigma_px + 0.5)
    x1, y1, x2, y2 = int(box.x1), int(box.y1), int(box.x2), int(box.y2)
    left, top = max(0, x1 - reach), max(0, y1 - reach)
    around = gaussian_blur(frame[top : y2 + reach, left : x2 + reach], sigma_px)
    blurred = frame.copy()
    blurred[y1:y2, x1:x2] = around[y1 - top : y2 - top, x1 - left : x2 - left]
    return blurred
