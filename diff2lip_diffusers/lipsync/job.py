"""A lip-sync job: from a face video and speech to the finished video."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import FaceNotFoundError
from ..media.image_writer import ImageFolderWriter
from ..media.video_writer import VideoWriter
from ..output_paths import check_output_path, names_folder
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.urls import Location
from .cover_masks import CoverMasks, masks_of
from .exemplar_windows import detailed_frames
from .face_boxes import BoxedFrame, BoxedFrames
from .frame_tasks import FrameTask, PaintedTask, TaskMaker
from .frame_writing import open_writer, write_frames
from .heard_audio import heard_audio
from .options import SyncOptions
from .plan import JobPlan, check_duration, plan_job
from .reference_faces import reference_faces
from .sealing import mark_of, seal_of
from .source_video import SourceVideo
from .spoken_segments import checked_faces
from .stage_timer import StageTimer


@dataclass(frozen=True)
class SyncResult:
    """The result of one lip-sync job.

    Args:
        output: the written file or folder, or its URL.
        num_frames: frames written.
        num_faceless_frames: frames passed through untouched because the face was not seen.
        fps: frames a second.
        duration_s: length of the output in seconds.
        speech_s: length of the speech recording in seconds.
        stage_s: seconds of work by stage: read the speech, decode, detect, crop, sample, paste, encode. Stages run in
            parallel, so that the job takes less than their sum.
    """

    output: Location
    num_frames: int
    num_faceless_frames: int
    fps: Fraction
    duration_s: float
    speech_s: float
    stage_s: dict[str, float] = field(default_factory=dict)


class SyncJob:
    """A [`Job`] that makes one output from a face video and a speech recording.

    Args:
        pipe: the pipeline that paints.
        source: the face video.
        audio: file with the audio to be heard; None for the video's own, or in a dialogue for its recordings.
        output: file or folder to write.
        options: of the job.

    Attributes:
        timer: seconds by stage so far.
        error: what ended the job too early. Only `sync_jobs` sets it.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        source: SourceVideo,
        audio: str | Path | None,
        output: str | Path,
        options: SyncOptions,
    ):
        self.pipe, self.source, self.audio, self.output, self.options = pipe, source, audio, output, options
        self.timer = StageTimer()
        self.error: Exception | None = None

    @cached_property
    def plan(self) -> JobPlan:
        """Speech and length of the job; reads the speech at first access."""
        with self.timer.stage("speech"):
            return plan_job(self.pipe, self.source, self.audio or self.source.path, self.options)

    @cached_property
    def _writer(self) -> VideoWriter | ImageFolderWriter:
        mark = mark_of(self.options)
        seal = seal_of(self.pipe, self.source, self.audio, self.output, self.options)
        if names_folder(self.output):
            return ImageFolderWriter(self.output, mark)
        return VideoWriter(
            self.output,
            **video_settings(self.source, self.plan, self.options),
            audio=heard_audio(self.source, self.audio, self.plan, self.options),
            metadata=mark,
            seal=seal,
        )

    def tasks(self) -> Generator[FrameTask, None, None]:
        """Yields the output frames, in order. Called in the thread that decodes.

        Raises:
            ValueError: if a place in the options is outside the frame.
            MediaError: if a file cannot be read, or the output cannot be written.
            AudioTooShortError: if there is less than 0.2 s of speech.
            FaceNotFoundError: where the options ask for a face in a certain frame and it has none.
        """
        check_output_path(self.output, self.source.path, self.audio, *self.options.files)
        if self.options.segments is not None:
            recordings = (segment.stated.audio for segment in self.plan.segments if segment.stated is not None)
            check_output_path(self.output, *recordings)
        boxed = boxed_frames(
            self.pipe, self.source, self.plan, self.options, self.timer, lambda: self.error is not None
        )
        references = reference_faces(self.pipe, boxed, self.options)
        _ = self._writer  # made now, so that a codec that is not there fails before the first frame
        masks = masks_of(self.source, self.plan.fps, self.options)
        shown = with_as_many_masks(shown_frames(boxed, self.options), masks, self.plan, self.options)
        shown = checked_faces(shown, self.plan.segments)
        if self.options.takes_detail:
            shown = detailed_frames(self.pipe, boxed, shown, self.plan, self.options)
        yield from TaskMaker(self, self.pipe, self.plan, references, masks).tasks(shown)

    def write(self, painted: Iterator[PaintedTask]) -> SyncResult:
        """Writes the output and returns the result. Called in the thread that encodes, after the first task.

        The output appears when it is complete; if this raises, there is none.

        Raises:
            FaceNotFoundError: if nothing was painted.
            MediaError: if it cannot be written.
        """
        with open_writer(self._writer, self.timer) as writer:
            counts = write_frames(painted, writer, self.options, self.pipe, self.timer)
            if not counts.num_painted:
                raise no_face_painted(self.options)
        return SyncResult(
            Path(self.output),
            counts.num_frames,
            counts.num_faceless,
            self.plan.fps,
            float(counts.num_frames / self.plan.fps),
            float(self.plan.speech_s),
            dict(self.timer.seconds),
        )


def boxed_frames(
    pipe: Diff2LipPipeline,
    source: SourceVideo,
    plan: JobPlan,
    options: SyncOptions,
    timer: StageTimer,
    is_stopped: Callable[[], bool],
) -> BoxedFrames:
    """The frames of a job with the boxes of the face."""
    device, limits = pipe._execution_device, (plan.min_frames, plan.max_frames)
    return BoxedFrames(source, plan.fps, *limits, options, device, timer, plan.faces, is_stopped)


def shown_frames(boxed: BoxedFrames, options: SyncOptions) -> Generator[BoxedFrame, None, None]:
    """The frames that the output shows: those of the video, or in mode reconstruction the first one as often.

    Raises:
        FaceNotFoundError: if the first one is repeated and has no face.
        MediaError: as soon as there are more of them than the options allow.
    """
    entries = _repeat_first(boxed) if options.mode == "reconstruction" else iter(boxed)
    with closing(entries):
        for count, entry in enumerate(entries, 1):
            check_duration(boxed.source.path, count, boxed.fps, options)
            yield entry


def _repeat_first(boxed: BoxedFrames) -> Generator[BoxedFrame, None, None]:
    first = None
    for entry in boxed:
        first = first or entry
        if first.box is None:
            raise FaceNotFoundError(0)
        yield first


def with_as_many_masks(
    entries: Generator[BoxedFrame, None, None], masks: CoverMasks | None, plan: JobPlan, options: SyncOptions
) -> Generator[BoxedFrame, None, None]:
    """Yields all frames of a job; at their end makes sure that the video has as many frames as there are masks.

    Raises:
        MediaError: it has more or fewer.
    """
    shown = highest = 0
    with closing(entries):
        for entry in entries:
            shown, highest = shown + 1, max(highest, entry.number + 1)
            yield entry
    # The video was read to its end if nothing limits the output, or if frames were shown again.
    is_whole = plan.max_frames is None or shown > highest
    if masks is not None and is_whole and options.mode != "reconstruction":
        masks.check_count(highest)


def no_face_painted(options: SyncOptions) -> FaceNotFoundError:
    """The error of a job in which nothing was painted."""
    face = options.face if options.detects else "largest"
    return FaceNotFoundError(wanted=face)


def video_settings(source: SourceVideo, plan: JobPlan, options: SyncOptions) -> dict[str, Any]:
    """How the frames of an output are encoded, as `VideoEncoder` takes it."""
    info = source.info
    chosen = {"codec": options.codec, "crf": options.crf, "lossless": options.lossless}
    return {"width": info.width, "height": info.height, "fps": plan.fps, "info": info, **chosen}
