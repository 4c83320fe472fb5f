"""LPIPS against the reference, of whole frames and of the painted part."""

from collections.abc import Callable

import numpy as np
import torch

from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .group import ClipView, MeasureGroup
from .picture import reference_of

# As SSIM: neighboring frames tell nearly the same.
STRIDE = 5
# The last pooling of AlexNet has nothing left of a smaller picture.
MIN_PX = 32


class LpipsGroup(MeasureGroup):
    """`lpips` of whole frames, `lpips_painted` of the lower half of the face box; means over every fifth frame.

    Pictures are compared at their own size: whole frames at the reference's, painted parts as they are cut. None is
    scaled, so numbers of videos of different sizes do not compare. Pictures of less than 32 pixels are left out.
    A pair of frames of 1920 x 1080 takes a second and 0.2 GB with AlexNet, 24 s and 2.5 GB with VGG (one CPU core).

    Args:
        view: the output.
        distance: from `load_distance`.
        device: where its weights are.

    Source: Zhang et al. 2018, with the backbone in the weights file: AlexNet or VGG.
    """

    def __init__(self, view: ClipView, distance: Callable, device: str = "cpu"):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        self._distance, self._device = distance, device
        self._found: dict[str, list[float]] = {"lpips": [], "lpips_painted": []}

    def add(self, frame: AlignedFrame) -> None:
        """Compares one frame."""
        if frame.index % STRIDE:
            return
        reference = reference_of(frame)
        self._compare("lpips", frame.output, reference)
        if frame.painted_box is not None:
            self._compare("lpips_painted", cut(frame.output, frame.painted_box), cut(reference, frame.painted_box))

    def values(self) -> dict[str, float]:
        """Means over the clip."""
        found = {name: float(np.mean(distances)) for name, distances in self._found.items() if distances}
        if not found:
            raise NotMeasurable(f"needs frames of {MIN_PX} pixels or more")
        return found

    @torch.no_grad()
    def _compare(self, name: str, output: np.ndarray, reference: np.ndarray) -> None:
        if min(output.shape[:2]) >= MIN_PX:
            pair = (self._as_tensor(pixels) for pixels in (output, reference))
            self._found[name].append(float(self._distance(*pair)))

    def _as_tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """Pixels as (1, 3, H, W) in [-1, 1]."""
        tensor = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        return tensor.permute(2, 0, 1)[None].float() / 127.5 - 1
