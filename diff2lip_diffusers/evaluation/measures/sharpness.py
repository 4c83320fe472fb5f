"""How sharp the painted part is against the same part of the reference, and how visible its border is."""

import numpy as np
import torch
import torch.nn.functional as F

from ...boxes import FaceBox
from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .group import ClipView, MeasureGroup
from .picture import reference_of

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# The high band is what a Gaussian of this width takes away.
BAND_SIGMA_PX = 1.5
# The border is looked for within this part of the face's width, because soft masks end near the box, not on it.
BORDER_REACH = 0.02
MIN_PART_PX = 8
# Width of the face that pictures are reduced to for `laplacian_ratio_128`.
REDUCED_FACE_PX = 128


class SharpnessGroup(MeasureGroup):
    """`laplacian_ratio`, `laplacian_ratio_128`, `high_band_ratio` and `seam_ratio`: 1 is as the reference.

    A model cannot paint more detail than its crops have room for. `laplacian_ratio_128` compares pictures that are
    reduced to a face of 128 pixels, so it judges the weights, and `laplacian_ratio` what a viewer sees.

    Numbers of all frames are added up before the ratio is taken, so that a flat frame does not decide.

    Source: variance of the Laplacian: Pech-Pacheco et al. 2000; the high band and the seam are defined here.
    """

    def __init__(self, view: ClipView):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        if not any(view.boxes):
            raise NotMeasurable("needs a face, and none was found")
        self._sums = np.zeros((4, 2))

    def add(self, frame: AlignedFrame) -> None:
        """Takes in one frame."""
        box = frame.painted_box
        if box is None or min(box.width, box.height) < MIN_PART_PX:
            return
        for column, pixels in enumerate((frame.output, reference_of(frame))):
            part = luma(cut(pixels, box))
            self._sums[0, column] += laplacian_variance(part)
            self._sums[1, column] += laplacian_variance(reduced(part, REDUCED_FACE_PX / box.width))
            self._sums[2, column] += high_band_energy(part)
            self._sums[3, column] += border_gradient(luma(pixels), box)

    def values(self) -> dict[str, float]:
        """Ratios of the sums, output to reference."""
        names = ("laplacian_ratio", "laplacian_ratio_128", "high_band_ratio", "seam_ratio")
        ratios = {name: sums for name, sums in zip(names, self._sums, strict=True) if sums[1] > 0}
        if not ratios:
            raise NotMeasurable("the reference is flat where the mouth is")
        return {name: float(output / reference) for name, (output, reference) in ratios.items()}


def luma(pixels: np.ndarray) -> np.ndarray:
    """Returns the luma (H, W) float32 in [0, 255] of RGB pixels (H, W, 3) uint8. Source: ITU-R BT.601."""
    return pixels @ LUMA


def reduced(part: np.ndarray, scale: float) -> np.ndarray:
    """Returns luma (H, W) float32 scaled by a factor below 1, each pixel a mean of those it covers; else as it is."""
    if scale >= 1:
        return part
    size = [max(MIN_PART_PX, round(scale * length)) for length in part.shape]
    pixels = torch.from_numpy(np.ascontiguousarray(part))[None, None]
    return F.interpolate(pixels, size, mode="bilinear", antialias=True)[0, 0].numpy()


def laplacian_variance(part: np.ndarray) -> float:
    """Returns the variance of the 4-neighbor Laplacian of luma (H, W)."""
    inner = part[1:-1, 1:-1]
    laplacian = part[:-2, 1:-1] + part[2:, 1:-1] + part[1:-1, :-2] + part[1:-1, 2:] - 4 * inner
    return float(laplacian.var(dtype=np.float64))


def high_band_energy(part: np.ndarray) -> float:
    """Returns the mean square of what a Gaussian of 1.5 pixels takes away from luma (H, W)."""
    reach = int(3 * BAND_SIGMA_PX + 0.5)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-places.square() / (2 * BAND_SIGMA_PX**2))
    weights = weights / weights.sum()
    padded = F.pad(torch.from_numpy(part)[None, None], (reach,) * 4, mode="replicate")
    blurred = F.conv2d(F.conv2d(padded, weights[None, None, None]), weights[None, None, :, None])[0, 0]
    return float((torch.from_numpy(part) - blurred).square().mean())


def border_gradient(frame: np.ndarray, box: FaceBox) -> float:
    """Returns the mean step of luma (H, W), in levels, across the border of a box, from inside to outside.

    Steps are taken near all four edges that do not lie on the border of the frame; of each edge the strongest row or
    column within reach counts, because a soft mask may end beside the box.
    """
    height, width = frame.shape
    reach = max(1, round(BORDER_REACH * box.width))
    x1, y1, x2, y2 = int(box.x1), int(box.y1), int(box.x2), int(box.y2)
    rows = [_strongest(np.abs(np.diff(_band(frame, y, reach, height)[:, x1:x2], axis=0)), 1) for y in (y1, y2)]
    columns = [_strongest(np.abs(np.diff(_band(frame.T, x, reach, width)[:, y1:y2], axis=0)), 1) for x in (x1, x2)]
    steps = [step for step in rows + columns if step is not None]
    return float(np.mean(steps)) if steps else 0.0


def _band(frame: np.ndarray, place: int, reach: int, size: int) -> np.ndarray:
    return frame[max(0, place - reach - 1) : min(size, place + reach + 1)]


def _strongest(steps: np.ndarray, axis: int) -> float | None:
    return float(steps.mean(axis=axis).max()) if steps.size else None
