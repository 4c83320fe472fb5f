"""PSNR, SSIM and MS-SSIM against the reference, of whole frames and of the painted part."""

import math

import numpy as np
import torch

from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .group import ClipView, MeasureGroup

# Equal frames have no finite PSNR; this stands for it.
BEST_PSNR_DB = 100.0
# SSIM takes a second for a frame of 1080p; five frames a second of video tell as much as all.
SSIM_STRIDE = 5
# Five scales of windows of 11 pixels.
MS_SSIM_MIN_PX = 176
SSIM_MIN_PX = 11
SSIM_MARGIN_PX = 5


class PictureGroup(MeasureGroup):
    """`psnr`, `ssim`, `ms_ssim` of whole frames; `psnr_painted`, `ssim_painted` of the lower half of the face box.

    PSNR is that of the mean squared error over all frames; SSIM and MS-SSIM are means over every fifth frame.

    Source: Wang et al. 2004 (SSIM, windows of 11 pixels, σ 1.5); Wang et al. 2003 (MS-SSIM).
    """

    def __init__(self, view: ClipView):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        self._squares: dict[str, list[float]] = {"psnr": [], "psnr_painted": []}
        self._similar: dict[str, list[float]] = {"ssim": [], "ms_ssim": [], "ssim_painted": []}

    def add(self, frame: AlignedFrame) -> None:
        """Compares one frame."""
        reference = reference_of(frame)
        self._compare(frame.output, reference, "", frame.index)
        if frame.painted_box is not None:
            parts = cut(frame.output, frame.painted_box), cut(reference, frame.painted_box)
            self._compare(*parts, "_painted", frame.index)

    def _compare(self, output: np.ndarray, reference: np.ndarray, part: str, index: int) -> None:
        self._squares[f"psnr{part}"].append(mean_squared_error(output, reference))
        if index % SSIM_STRIDE or min(output.shape[:2]) < SSIM_MIN_PX:
            return
        pair = _as_tensor(output), _as_tensor(reference)
        self._similar[f"ssim{part}"].append(ssim(*pair))
        if not part and min(output.shape[:2]) >= MS_SSIM_MIN_PX:
            self._similar["ms_ssim"].append(ms_ssim(*pair))

    def values(self) -> dict[str, float]:
        """Means over the clip."""
        found = {name: psnr_db(float(np.mean(squares))) for name, squares in self._squares.items() if squares}
        return found | {name: float(np.mean(values)) for name, values in self._similar.items() if values}


def reference_of(frame: AlignedFrame) -> np.ndarray:
    """Returns the reference's pixels; a frame without them has no place in a measure that compares."""
    if frame.reference is None:
        raise NotMeasurable("needs a reference video (--reference)")
    return frame.reference


def mean_squared_error(output: np.ndarray, reference: np.ndarray) -> float:
    """Returns the mean squared difference of two uint8 arrays, in levels squared."""
    difference = output.astype(np.float32) - reference
    return float(np.square(difference).mean(dtype=np.float64))


def psnr_db(squared_error: float) -> float:
    """Returns the peak signal-to-noise ratio in dB of a mean squared error in levels of 255, at most 100."""
    return BEST_PSNR_DB if squared_error <= 0 else min(BEST_PSNR_DB, 10 * math.log10(255**2 / squared_error))


def ssim(output: torch.Tensor, reference: torch.Tensor) -> float:
    """Returns the structural similarity of two (1, 3, H, W) tensors in [0, 1], in [-1, 1].

    Only windows that lie inside the picture count, as in the paper's program.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    found = structural_similarity_index_measure(output, reference, data_range=1.0, return_full_image=True)
    return float(found[1][..., SSIM_MARGIN_PX:-SSIM_MARGIN_PX, SSIM_MARGIN_PX:-SSIM_MARGIN_PX].mean())


def ms_ssim(output: torch.Tensor, reference: torch.Tensor) -> float:
    """Returns the multi-scale structural similarity of two (1, 3, H, W) tensors in [0, 1], H and W 176 or more."""
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    return float(multiscale_structural_similarity_index_measure(output, reference, data_range=1.0))


def _as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
