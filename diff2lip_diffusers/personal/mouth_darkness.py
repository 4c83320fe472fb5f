"""The darkness of a mouth in face crops: a measure of its opening on any face, without landmarks.

An open mouth shows a dark inside. The measure compares a painted clip with the true one, frame by frame.
"""

from dataclasses import dataclass

import numpy as np
import torch

# The mouth in a crop from forehead to chin: columns and rows, as fractions of the crop.
MOUTH_COLUMNS, MOUTH_ROWS = (0.20, 0.80), (0.66, 0.97)
DARK_PERCENTILE = 5
# Luma of BT.601.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class MouthMatch:
    """How painted mouths match the true ones of the same frames.

    Attributes:
        correlation: of the darkness over the frames, in [-1, 1]; 0 if one of the two does not change.
        movement: standard deviation of the painted darkness, as a multiple of the true one.
        psnr_db: peak signal-to-noise ratio of all pixels in the box of the mouth.
    """

    correlation: float
    movement: float
    psnr_db: float


def mouth_box(frames: torch.Tensor) -> torch.Tensor:
    """Returns the part of the crops (N, C, S, S) in which the mouth is, (N, C, h, w)."""
    size = frames.shape[-1]
    (top, bottom), (left, right) = (tuple(round(part * size) for part in span) for span in (MOUTH_ROWS, MOUTH_COLUMNS))
    return frames[..., top:bottom, left:right]


def mouth_darkness(frames: torch.Tensor) -> np.ndarray:
    """Returns how much darker the darkest pixels of the mouth are than its middle, (N,) in levels of 255.

    It is the median of the luma in the box of the mouth, minus its 5th percentile.

    Args:
        frames: (N, 3, S, S) in [0, 1], RGB crops from forehead to chin.
    """
    weights = torch.tensor(LUMA, dtype=frames.dtype)[:, None, None]
    luma = (mouth_box(frames) * weights).sum(dim=1).flatten(1).numpy() * 255
    return np.median(luma, axis=1) - np.percentile(luma, DARK_PERCENTILE, axis=1)


def match_mouths(painted: torch.Tensor, truth: torch.Tensor) -> MouthMatch:
    """Returns how painted mouths match the true ones.

    Args:
        painted: (N, 3, S, S) in [0, 1].
        truth: (N, 3, S, S) in [0, 1], the true frames.
    """
    own, true = mouth_darkness(painted), mouth_darkness(truth)
    error = float((mouth_box(painted) - mouth_box(truth)).square().mean())
    spread = float(own.std()), float(true.std())
    moves = min(spread) > 1e-6
    return MouthMatch(
        correlation=float(np.corrcoef(own, true)[0, 1]) if moves else 0.0,
        movement=spread[0] / spread[1] if spread[1] > 1e-6 else float("inf"),
        psnr_db=-10 * float(np.log10(max(error, 1e-10))),
    )
