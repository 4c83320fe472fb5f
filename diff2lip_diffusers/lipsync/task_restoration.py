"""Restoration of the painted part of tasks, in order."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ..boxes import FaceBox
from ..detail.exemplars import scaled
from ..faces.search import is_cut
from ..media.frame import Frame
from ..restoration.restorer import Restorer
from ..restoration.restorer_file import load_restorer
from ..restoration.steadiness import SteadyRestoration
from .compositing import Patch, apply_patch
from .exemplar_windows import STRETCH_FRAMES
from .frame_tasks import FrameTask
from .options import SyncOptions


class TaskRestoration:
    """Improves the painted parts of a job by the restorer of its options; leaves them as they are where there is none.

    Each stretch of frames starts afresh, so that several processes can paint the stretches of a clip.

    Args:
        options: of the job.
        device: where the restorer runs.

    Raises:
        Diff2LipError: as `load_restorer` does.
    """

    def __init__(self, options: SyncOptions, device: torch.device):
        self._restorer = restorer_of(options, device)
        self._strength = np.float32(options.restore_strength)
        self._by_track: defaultdict[int, _OneFace] = defaultdict(_OneFace)

    def added(self, task: FrameTask, frame: Frame, patch: Patch) -> Patch:
        """The patch with its painted part restored.

        Args:
            task: what was painted.
            frame: that the patch will be blended into.
            patch: as it would be blended without.
        """
        if self._restorer is None or task.crop is None:
            return patch
        steadied = self._by_track[task.track].continued_by(task)
        region = self._restorer.region(task.crop.box)
        image = self._restorer.prepared(_composited(frame, patch, region))
        shown = _part_of(steadied(image, self._restorer(image)), region, patch.box)
        share = self._strength if patch.kept is None else self._strength * (1 - patch.kept.clip(0, 1))[..., None]
        rgb = patch.rgb + share * (shown - patch.rgb)
        return replace(patch, rgb=rgb.clip(0, 255))


class _OneFace:
    """What the frames of one face hand on."""

    def __init__(self):
        self._steady = SteadyRestoration()
        self._last: tuple[int, np.ndarray] | None = None

    def continued_by(self, task: FrameTask) -> SteadyRestoration:
        """The memory of the frames before; empty at the start of a stretch, after a gap and at a cut."""
        assert task.crop is not None
        crop, index = task.crop.resized, task.index
        follows = self._last is not None and index == self._last[0] + 1 and index % STRETCH_FRAMES > 0
        if self._last is None or not follows or is_cut(self._last[1], crop):
            self._steady.forget()
        self._last = index, crop
        return self._steady


def restorer_of(options: SyncOptions, device: torch.device) -> Restorer | None:
    """The restorer that the options name as a file; None if they name none, or nothing of it would be seen.

    Raises:
        Diff2LipError: as `load_restorer` does.
    """
    if not isinstance(options.restore, Path) or not options.restore_strength:
        return None
    return load_restorer(options.restore, device)


def _composited(frame: Frame, patch: Patch, region: FaceBox) -> np.ndarray:
    """The region of a frame with a patch in it, uint8 RGB; outside the frame its edge pixels are repeated."""
    seen = region.clipped(frame.width, frame.height)
    x, y = seen.x1, seen.y1
    inside = FaceBox(patch.box.x1 - x, patch.box.y1 - y, patch.box.x2 - x, patch.box.y2 - y)
    pixels = apply_patch(frame.rgb(seen), replace(patch, box=inside))
    margins = (seen.y1 - region.y1, region.y2 - seen.y2), (seen.x1 - region.x1, region.x2 - seen.x2)
    return np.pad(pixels, [*((int(a), int(b)) for a, b in margins), (0, 0)], mode="edge")


def _part_of(shown: np.ndarray, region: FaceBox, box: FaceBox) -> np.ndarray:
    """What a box inside the region shows, (h, w, 3) float32, of an image of the region in any size."""
    width, height = int(region.width), int(region.height)
    if shown.shape[:2] != (height, width):
        shown = scaled(shown, width, height)
    top, left = int(box.y1 - region.y1), int(box.x1 - region.x1)
    return shown[top : top + int(box.height), left : left + int(box.width)]
