"""Detail for the painted faces of tasks, in order."""

from collections.abc import Sequence

import numpy as np

from ..detail.bank import Bank
from ..detail.exemplars import Exemplar, first_row_of
from ..detail.sharpener import MouthSharpener
from .compositing import in_colors_of
from .frame_tasks import FrameTask


class TaskDetail:
    """Sharpens the painted faces of a job, frame after frame; each stretch starts afresh.

    Args:
        painted_fraction: lower part of the face that the model paints, in (0, 1].
    """

    def __init__(self, painted_fraction: float):
        self.painted_fraction = painted_fraction
        self._exemplars: Sequence[Exemplar] | None = None
        self._sharpener: MouthSharpener | None = None
        self._index = -1

    def added(self, task: FrameTask, face: np.ndarray) -> np.ndarray:
        """The painted face with detail, (R, R, 3) float32 in [0, 1]; unchanged where no exemplar can lend any.

        Args:
            task: the frame.
            face: (S, S, 3) float32 in [0, 1].
        """
        if task.exemplars is not self._exemplars:
            self._exemplars, self._sharpener = task.exemplars, self._new_sharpener(task.exemplars, len(face))
        elif self._sharpener is not None and task.index != self._index + 1:
            self._sharpener.forget()
        self._index = task.index
        if self._sharpener is None or task.crop is None:
            return face
        painted = in_colors_of(task.crop.resized, face, self.painted_fraction)
        return self._sharpener(painted, task.crop.resized) / np.float32(255)

    def _new_sharpener(self, exemplars: Sequence[Exemplar], size: int) -> MouthSharpener | None:
        return MouthSharpener(Bank(exemplars, first_row_of(self.painted_fraction, size))) if exemplars else None
