"""Painted tasks to finished frames: composited, written in order, and counted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import cv2
import numpy as np

from ..errors import Diff2LipError
from ..media.frame import Frame
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..provenance.watermark import GridWatermark
from .compositing import Patch, painted_patch, whole_patch
from .frame_tasks import FaceCrop, PaintedTask
from .occluders import occluded
from .options import SyncOptions
from .stage_timer import StageTimer
from .task_detail import TaskDetail
from .task_restoration import TaskRestoration


class FrameSink(Protocol):
    """Takes frames, one after another."""

    def write(self, frame: Frame, /) -> None:
        """Appends a frame."""
        ...


Writer = TypeVar("Writer")


@dataclass
class FrameCounts:
    """How many frames a job has written.

    Attributes:
        num_frames: all of them.
        num_faceless: those in which the face was not seen.
        num_painted: painted faces.
    """

    num_frames: int = 0
    num_faceless: int = 0
    num_painted: int = 0


def write_frames(
    painted: Iterable[PaintedTask],
    sink: FrameSink,
    options: SyncOptions,
    pipe: Diff2LipPipeline,
    timer: StageTimer,
) -> FrameCounts:
    """Writes each frame with the painted faces of its tasks composited in; untouched where there is none.

    Args:
        painted: tasks with their painted faces, in order.
        sink: takes the frames.
        options: of the job.
        pipe: the pipeline that painted.
        timer: adds up what compositing and encoding take.

    Raises:
        ValueError: `restore` returned something that is no face.
        MediaError: a frame cannot be written.
        Diff2LipError: what the pipeline painted is not finite, or the restorer cannot be loaded or fails.
    """
    counts = FrameCounts()
    painted_fraction = pipe.config.painted_fraction  # pyright: ignore[reportAttributeAccessIssue] (annotated as dict)
    details: defaultdict[int, TaskDetail] = defaultdict(lambda: TaskDetail(painted_fraction))
    restoration = TaskRestoration(options, pipe._execution_device)
    watermark = GridWatermark() if options.watermark else None
    frame = None
    for task, face in painted:
        frame = frame or task.frame
        if face is not None and task.crop is not None:
            with timer.stage("paste"):
                if not np.isfinite(face).all():
                    reason = "is not finite: a weight or the precision is at fault; try --dtype fp32"
                    raise Diff2LipError(f"frame {task.index}: what the model painted {reason}")
                sharpened = details[task.track].added(task, face)
                patch = _patch(task.crop, face, sharpened, options, painted_fraction)
                patch = _uncovered(patch, task.crop, face, options, painted_fraction)
                patch = restoration.added(task, frame, patch)
                frame = frame.blended(patch.box, patch.rgb, patch.opacity)
        counts.num_painted += face is not None
        if not task.is_last:
            continue
        with timer.stage("encode"):
            sink.write(frame if watermark is None else watermark.marked(frame))
        counts.num_frames += 1
        counts.num_faceless += task.box is None
        frame = None
    return counts


@contextmanager
def open_writer(writer: AbstractContextManager[Writer], timer: StageTimer) -> Iterator[Writer]:
    """Enters a writer for a `with` block; the time to complete the file counts as encoding."""
    with ExitStack() as stack:
        yield stack.enter_context(writer)
        with timer.stage("encode"):
            stack.close()


def _patch(
    crop: FaceCrop, face: np.ndarray, sharpened: np.ndarray, options: SyncOptions, painted_fraction: float
) -> Patch:
    if options.reproduce:
        return whole_patch(crop.box, _truncated(face))
    if callable(options.restore):
        restored = _restored(options.restore, sharpened)
        return painted_patch(crop.pixels, crop.box, crop.resized, restored, painted_fraction)
    unsharpened = None if sharpened is face else face
    return painted_patch(crop.pixels, crop.box, crop.resized, sharpened, painted_fraction, unsharpened)


def _uncovered(patch: Patch, crop: FaceCrop, face: np.ndarray, options: SyncOptions, painted_fraction: float) -> Patch:
    """The patch without what is before the face: by a mask, or because it does not fit the frame."""
    rows, columns = patch.opacity.shape  # a patch reaches down to the end of the box
    opacity = patch.opacity
    if crop.covered is not None:
        opacity = opacity * (1 - crop.covered[-rows:])
    if options.keep_occluders:
        things = occluded(crop.resized, face, painted_fraction)
        opacity = opacity * (
            1 - cv2.resize(things, (columns, len(crop.pixels)), interpolation=cv2.INTER_LINEAR)[-rows:]
        )
    return replace(patch, opacity=opacity)


def _restored(restore: Callable[[np.ndarray], np.ndarray], face: np.ndarray) -> np.ndarray:
    restored = np.asarray(restore(face))
    if restored.ndim != 3 or restored.shape[0] != restored.shape[1] or restored.shape[2] != 3:
        raise ValueError(f"`restore` returned shape {restored.shape}, expected a square (S, S, 3)")
    if restored.dtype.kind != "f" or not np.isfinite(restored).all():
        raise ValueError(f"`restore` returned {restored.dtype} numbers, expected finite float32 in [0, 1]")
    return restored.astype(np.float32).clip(0, 1)


def _truncated(face: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] as uint8, rounded down from [-1, 1] as the original does; some values lose a level.

    Source: the original program, recorded in `tests/data/pipeline.npz`.
    """
    return (((2 * face - 1) + 1) * np.float32(127.5)).astype(np.uint8)
