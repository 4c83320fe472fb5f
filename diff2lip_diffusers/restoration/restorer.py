"""A restorer: which part of a frame it looks at, in which size, and what it makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..boxes import FaceBox
from ..detail.exemplars import scaled
from ..errors import Diff2LipError
from .alignment import ALIGNED_PX, aligned_square
from .licenses import license_of

# Restorers of whole faces; all others take any image.
FACE_ARCHITECTURES = {"GFPGAN", "RestoreFormer", "CodeFormer"}
# An enlarger gets a face in at least this size (if it is as large), and gives it in about the face's own size.
LEAST_PX, MOST_PX = 128, 512


@dataclass(frozen=True)
class Restorer:
    """A network that improves faces.

    Attributes:
        path: its file.
        architecture: spandrel's name of it.
        scale: how much larger the image becomes.
        network: from an image (1, 3, n, m) in [0, 1] to the improved one, (1, 3, scale·n, scale·m).
        device: where it runs.
    """

    path: Path
    architecture: str
    scale: int
    network: Callable[[torch.Tensor], torch.Tensor]
    device: torch.device

    @property
    def is_for_faces(self) -> bool:
        """Whether it was trained on aligned faces."""
        return self.architecture in FACE_ARCHITECTURES

    @property
    def notice(self) -> str:
        """Its name and license, in a line for users."""
        return f"{self.path.name}: {self.architecture}, license {license_of(self.architecture)}"

    def region(self, box: FaceBox) -> FaceBox:
        """What it looks at, in whole pixels; it may reach out of the frame.

        Args:
            box: of the face, in whole pixels.
        """
        return aligned_square(box) if self.is_for_faces else box

    def prepared(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels (h, w, 3) uint8 of its region in the size that it takes, (n, m, 3) uint8."""
        if self.is_for_faces:
            return scaled(pixels, ALIGNED_PX, ALIGNED_PX)
        height, width = pixels.shape[:2]
        longest = max(height, width)
        shrink = min(longest, max(LEAST_PX, -(-longest // self.scale)), MOST_PX) / longest
        return scaled(pixels, max(1, round(shrink * width)), max(1, round(shrink * height)))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """What it makes of a prepared image: (scale·n, scale·m, 3) float32 in [0, 255].

        Raises:
            Diff2LipError: if the network fails, or gives something else.
        """
        height, width = image.shape[:2]
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(self.device).float() / 255
        try:
            with torch.inference_mode():
                made = self.network(planes)[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        except RuntimeError as error:
            raise Diff2LipError(f"{self.path}: failed on {width} x {height} pixels ({error})") from error
        if made.shape != (self.scale * height, self.scale * width, 3) or not np.isfinite(made).all():
            raise Diff2LipError(f"{self.path}: gave no finite image of {self.scale} x the size; pass another file")
        return np.ascontiguousarray(made) * np.float32(255)
