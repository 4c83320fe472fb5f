"""Tasks for the model: one for each face in each output frame, made from frames with face boxes and the speech."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from ..boxes import FaceBox
from ..detail.exemplars import Exemplar
from ..media.frame import Frame
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .cover_masks import CoverMasks
from .face_boxes import BoxedFrame
from .options import SyncOptions
from .plan import JobPlan
from .reference_faces import ReferenceFaces, crop_for_model
from .spoken_segments import SpokenSegment
from .stage_timer import StageTimer


class Job(Protocol):
    """Frames to paint and an output to write them to.

    `tasks` runs in the thread that decodes, `write` in the thread that encodes.

    Attributes:
        options: of the job.
        timer: seconds by stage so far.
        error: what ended the job too early. Only `sync_jobs` sets it.
    """

    options: SyncOptions
    timer: StageTimer
    error: Exception | None

    def tasks(self) -> Generator["FrameTask", None, None]:
        """The output frames, in order; what this raises ends the job."""
        ...

    def write(self, painted: Iterator["PaintedTask"]) -> Any:
        """Writes all frames and returns the result; writes nothing if it raises, or if `painted` does."""
        ...


@dataclass(frozen=True)
class FaceCrop:
    """What the model needs to paint the face in a frame.

    Attributes:
        box: where in the frame, in whole pixels.
        pixels: the frame inside the box, uint8 RGB (h, w, 3).
        resized: the same in the model's size, uint8 (S, S, 3).
        mel_window: the speech around the frame, float32 (80, 16).
        reference: the crop that shows the identity, uint8 (S, S, 3).
        covered: how much a mask covers, float32 (h, w) in [0, 1]; None without a mask.
    """

    box: FaceBox
    pixels: np.ndarray
    resized: np.ndarray
    mel_window: np.ndarray
    reference: np.ndarray
    covered: np.ndarray | None = None


@dataclass(frozen=True)
class FrameTask:
    """One face in a frame of an output, or a frame in which nothing is painted.

    Attributes:
        job: the job that it belongs to.
        index: number of the frame in the output, from 0.
        frame: the source frame.
        box: where the face is; None where it is not seen.
        crop: what the model needs; None where nothing is to be painted: without a face, or after the speech.
        exemplars: faces that lend detail to the painted one; frames of one stretch share the list.
        most_painted: the most faces that are painted in the whole clip; None where nobody knows.
        options: how the face is sampled; None as the job's say.
        track: whose face it is.
        is_last: whether no other face of this frame follows.
    """

    job: Job
    index: int
    frame: Frame
    box: FaceBox | None
    crop: FaceCrop | None = None
    exemplars: Sequence[Exemplar] = ()
    most_painted: int | None = None
    options: SyncOptions | None = None
    track: int = 0
    is_last: bool = True

    @property
    def sampling(self) -> SyncOptions:
        """The options that say how the face is sampled."""
        return self.job.options if self.options is None else self.options


# A task and its painted face, (S, S, 3) float32 in [0, 1], or None where nothing was painted.
PaintedTask = tuple[FrameTask, np.ndarray | None]


class TaskMaker:
    """Makes the tasks of one job.

    Args:
        job: the job.
        pipe: the pipeline, for the size of its crops and for its mel windows.
        plan: of the job.
        references: show the identity; None where each frame shows its own.
        masks: say what is not painted; None for all.
    """

    def __init__(
        self,
        job: Job,
        pipe: Diff2LipPipeline,
        plan: JobPlan,
        references: ReferenceFaces | None,
        masks: CoverMasks | None = None,
    ):
        self.job, self.pipe, self.plan, self.references, self.masks = job, pipe, plan, references, masks

    def tasks(self, boxed: Generator[BoxedFrame, None, None], first: int = 0) -> Generator[FrameTask, None, None]:
        """The tasks of frames, of which the first becomes number `first` of the output."""
        with closing(boxed) as entries:
            for index, entry in enumerate(entries, first):
                spoken = [segment for segment in self.plan.segments if index in segment.frames]
                seen = [segment for segment in spoken if entry.boxes[segment.track] is not None]
                yield from self._painted(index, entry, seen) if seen else [self._plain(index, entry)]

    def _plain(self, index: int, entry: BoxedFrame) -> FrameTask:
        box = next((box for box in entry.boxes if box is not None), None)
        return FrameTask(self.job, index, entry.frame, box, most_painted=self.plan.most_painted)

    def _painted(self, index: int, entry: BoxedFrame, seen: Sequence[SpokenSegment]) -> Iterator[FrameTask]:
        for segment in seen:
            crop, track = self._crop(index, entry, segment), segment.track
            yield FrameTask(
                self.job,
                index,
                entry.frame,
                crop.box,
                crop,
                entry.exemplars[track] if entry.exemplars else (),
                self.plan.most_painted,
                segment.options,
                track,
                is_last=segment is seen[-1],
            )

    def _crop(self, index: int, entry: BoxedFrame, segment: SpokenSegment) -> FaceCrop:
        box = cast(FaceBox, entry.boxes[segment.track])
        with self.job.timer.stage("crop"):
            pixels = entry.frame.rgb(box)
            resized = crop_for_model(self.pipe, pixels)
        reference = resized if self.references is None else self.references.of(segment.track, resized)
        covered = None if self.masks is None else self.masks.at(entry.number, box)
        return FaceCrop(box, pixels, resized, segment.mel_window(index), reference, covered)
