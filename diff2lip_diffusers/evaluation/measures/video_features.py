"""I3D features of 16 frames each, for FVD over all clips."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ...errors import CheckpointError, MediaError
from ..aligned_frames import AlignedFrame, NotMeasurable
from .group import ClipView, MeasureGroup
from .picture import reference_of
from .stored_features import ReferenceFeatures, write_features

WINDOW_FRAMES = 16
INPUT_PX = 224
# Arguments of the network's `forward`, beside the video.
FLAGS = {"rescale": False, "resize": False, "return_features": True}
CURE = "name i3d_torchscript.pt, as StyleGAN-V's evaluation uses it (--i3d)"


class VideoFeaturesGroup(MeasureGroup):
    """Stores features of outputs and references for `fvd`.

    Windows of 16 frames follow each other without overlap, at the reference's frame rate; what is left at the end does
    not count. Whole frames are resized to 224 x 224 pixels whatever their shape, bilinearly without smoothing.

    Args:
        view: the output.
        network: from `load_i3d`.
        references: what is known of the reference from systems before.
        device: where the network is.

    Source: Unterthiner et al. 2019 (FVD), with the settings of Skorokhodov et al. 2022 (StyleGAN-V).
    """

    def __init__(self, view: ClipView, network, references: ReferenceFeatures, device: str = "cpu"):
        if not view.has_reference:
            raise NotMeasurable("needs a reference video (--reference)")
        self._view, self._network, self._references, self._device = view, network, references, device
        self._waiting: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._outputs: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def add(self, frame: AlignedFrame) -> None:
        """Takes in one frame."""
        self._waiting.append((_small(frame.output), _small(reference_of(frame))))
        if len(self._waiting) < WINDOW_FRAMES:
            return
        output, reference = (torch.stack(frames, dim=1) for frames in zip(*self._waiting, strict=True))
        self._waiting.clear()
        compute = partial(self._features, reference)
        self._found.append(self._references.get(self._view.clip.reference, len(self._outputs), compute))
        self._outputs.append(self._features(output))

    def values(self) -> dict[str, float]:
        """Writes the features; the number comes when all clips are done."""
        if not self._outputs:
            raise NotMeasurable(f"too short, FVD needs {WINDOW_FRAMES} frames")
        write_features(self._view.features, "fvd", self._outputs, self._found)
        return {}

    @torch.no_grad()
    def _features(self, window: torch.Tensor) -> np.ndarray:
        """Features (D,) of a window (3, 16, 224, 224) in [-1, 1]."""
        return self._network(window[None].to(self._device), **FLAGS).flatten().float().cpu().numpy()


def _small(pixels: np.ndarray) -> torch.Tensor:
    """Pixels (H, W, 3) uint8 as (3, 224, 224) in [-1, 1]."""
    image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float()
    return F.interpolate(image, (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)[0] / 127.5 - 1


def load_i3d(path: str | Path, device: torch.device | str = "cpu"):
    """Returns the I3D network of a TorchScript file: a function of videos (N, 3, T, 224, 224) in [-1, 1].

    A TorchScript file is a program: load only a file whose origin you trust. Its `forward` has the flags `rescale`,
    `resize` and `return_features`, as that of `i3d_torchscript.pt` has.

    Args:
        path: the file.
        device: where it computes.

    Raises:
        MediaError: if the file is missing.
        CheckpointError: if it is no TorchScript file, or another network.
    """
    path = Path(path)
    if not path.is_file():
        raise MediaError(path, f"no such file; {CURE}")
    try:
        with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, and FVD exists in no other form
            network = torch.jit.load(path, map_location=device).eval()
        flags = {argument.name for argument in network.forward.schema.arguments}
    except (RuntimeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path}: is no TorchScript file; {CURE}") from error
    if not flags >= FLAGS.keys():
        missing = ", ".join(sorted(FLAGS.keys() - flags))
        raise CheckpointError(f"{path}: is no I3D for FVD, its forward has no {missing}; {CURE}")
    return network
