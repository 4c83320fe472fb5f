"""Paints one part of a split clip."""

from collections.abc import Generator, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from ..lipsync.cover_masks import masks_of
from ..lipsync.face_boxes import BoxedFrame
from ..lipsync.frame_tasks import FrameTask, PaintedTask, TaskMaker
from ..lipsync.frame_writing import open_writer, write_frames
from ..lipsync.stage_timer import StageTimer
from ..media.length import read_numbered
from .split_clip import PartResult, SplitClip


class PartJob:
    """A [`Job`] that paints one part of a clip into a file of its own.

    Args:
        clip: the clip.
        part: number of the part, from 0.
        output: the file to write, in an existing folder; its suffix is changed to what the encoder needs.

    Attributes:
        timer: seconds by stage so far.
        error: what ended the job too early. Only `sync_jobs` sets it.
    """

    def __init__(self, clip: SplitClip, part: int, output: Path):
        self.clip, self.part, self.output, self.options = clip, part, output, clip.options
        self.timer = StageTimer()
        self.error: Exception | None = None

    def tasks(self) -> Generator[FrameTask, None, None]:
        """Yields the frames of the part, in order.

        Raises:
            MediaError: if a file cannot be read.
        """
        clip, plan = self.clip, self.clip.plan
        numbers, boxes = clip.steps.boxes_of(self.part)
        frames = self.timer.each("decode", read_numbered(partial(clip.source.frames, plan.fps), numbers))
        exemplars, masks = clip.exemplars_of(self.part), masks_of(clip.source, plan.fps, self.options)
        boxed = (BoxedFrame(*entry, exemplars) for entry in zip(numbers, frames, boxes, strict=True))
        yield from TaskMaker(self, clip.pipe, plan, clip.steps.references(), masks).tasks(
            boxed, clip.first_frame(self.part)
        )

    def write(self, painted: Iterator[PaintedTask]) -> PartResult:
        """Writes the part, hands it over to its clip, and returns what it holds.

        Raises:
            MediaError: if it cannot be written.
        """
        clip = self.clip
        encoder = clip.encoder(Path(clip.output))
        made = self.output.with_suffix(encoder.suffix)
        encoder.open(made)
        with open_writer(encoder, self.timer):
            counts = write_frames(painted, encoder, self.options, clip.pipe, self.timer)
        result = PartResult(**asdict(counts), suffix=made.suffix, stage_s=dict(self.timer.seconds))
        clip.keep_part(self.part, made, result)
        return result
