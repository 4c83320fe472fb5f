"""Inception features of single frames, for FID and KID over all clips."""

from functools import partial

import numpy as np
import torch

from ..aligned_frames import AlignedFrame, NotMeasurable, cut
from .group import ClipView, MeasureGroup
from .inception import InceptionFeatures
from .picture import reference_of
from .stored_features import ReferenceFeatures, write_features

# Neighboring frames are nearly equal: they cost as much as others and tell little.
STRIDE = 5


class ImageFeaturesGroup(MeasureGroup):
    """Stores features of outputs and references for `fid` and `kid` (whole frames), `fid_painted` and `kid_painted`.

    Every fifth frame counts, whole and the lower half of its face box. Both are resized to 299 x 299 pixels whatever
    their shape, as torch-fidelity does.

    Args:
        view: the output.
        network: with loaded weights.
        references: what is known of the reference from systems before.
        device: where the network is.
    """

    def __init__(self, view: ClipView, network: InceptionFeatures, references: ReferenceFeatures, device: str = "cpu"):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        self._view, self._network, self._references, self._device = view, network, references, device
        self._found: dict[str, tuple[list[np.ndarray], list[np.ndarray]]] = {"fid": ([], []), "fid_painted": ([], [])}

    def add(self, frame: AlignedFrame) -> None:
        """Computes the features of one frame."""
        if frame.index % STRIDE:
            return
        reference = reference_of(frame)
        self._add("fid", frame.index, frame.output, reference)
        if frame.painted_box is not None:
            parts = cut(frame.output, frame.painted_box), cut(reference, frame.painted_box)
            if parts[0].size:
                self._add("fid_painted", frame.index, *parts)

    def values(self) -> dict[str, float]:
        """Writes the features; numbers come when all clips are done."""
        for measure, (outputs, references) in self._found.items():
            if outputs:
                write_features(self._view.features, measure, outputs, references)
        return {}

    def _add(self, measure: str, index: int, output: np.ndarray, reference: np.ndarray) -> None:
        outputs, references = self._found[measure]
        outputs.append(self._features(output))
        compute = partial(self._features, reference)
        references.append(self._references.get(self._view.clip.reference, (measure, index), compute))

    @torch.no_grad()
    def _features(self, pixels: np.ndarray) -> np.ndarray:
        """Features (2048,) of pixels (H, W, 3)."""
        image = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device).permute(2, 0, 1)[None]
        return self._network(image)[0].cpu().numpy()
