"""Runs jobs in three threads: one decodes and finds faces, the caller's samples, one composites and encodes.

Memory does not grow with the length of the clips, nor with the number of jobs.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import Diff2LipError
from ..media.containers import MAX_PIXELS
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.urls import Location, Url, is_url, located
from .array_inputs import AudioSamples, FilePath, VideoFrames, input_files
from .background import Room, WriteBehind, prefetch
from .frame_tasks import FrameTask, Job, PaintedTask
from .job import SyncJob, SyncResult
from .malloc_trim import trim_heap
from .options import SyncOptions, checked_options
from .painted_faces import Face
from .remote_job import check_remote_output, files_of, local_inputs, urls_in
from .sampling import default_batch_size, paint_frames
from .source_video import SourceVideo
from .task_restoration import restorer_of

TRIM_FRAMES = 100
# Frames read ahead, and frames that wait to be encoded: as many as a batch has crops, but no more than these, and
# for each crop of a batch no more than so much memory.
MAX_AHEAD, AHEAD_BYTES = 256, 8 << 20

AnyJob = TypeVar("AnyJob", bound=Job)

# Pipelines whose progress bar is off: its settings before, and how many calls of `sync_jobs` are running.
_SILENCED: WeakKeyDictionary[Diff2LipPipeline, tuple[dict, int]] = WeakKeyDictionary()
_SILENCING = Lock()


def sync_video(
    pipe: Diff2LipPipeline,
    video: FilePath | VideoFrames,
    audio: FilePath | AudioSamples | None,
    output: FilePath,
    on_progress: Callable[[int, int | None], None] | None = None,
    callback_on_step_end: Callable | None = None,
    **options,
) -> SyncResult:
    """Writes `video` with its mouth moving to `audio`, and with that audio. Several threads may share a pipeline.

    Every frame of the video is written, unless `length` says otherwise. Frames without the face, and those after the
    end of the speech, stay as they are.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        video: the face: a video file, an image file, or a folder of numbered image files; or the URL of a file; or
            frames in memory, 25 a second unless `fps` says otherwise: an array (N, H, W, 3), a tensor (N, 3, H, W),
            uint8 or floats in [0, 1], or a list of PIL images or arrays (H, W, 3).
        audio: audio or video file with the speech, or its URL; the video's own audio if None; or samples in memory
            with their sampling rate, `(samples, 16000)`. With `drive` or `segments` it is only heard.
        output: file or URL to write, `.mp4`, `.m4v`, `.mov` or `.mkv`, or, by a name without suffix, a folder for PNG
            files; it appears when it is complete.
        on_progress: called as `(frames done, frames expected or None)`.
        callback_on_step_end: called as `(pipeline, step, timestep, tensors)` after each step of each batch of crops,
            as in a call of the pipeline; the tensors are `latents`.
        **options: the fields of [`SyncOptions`].

    Raises:
        ValueError: if an option is out of range.
        MediaError: if a file cannot be read or written.
        AudioTooShortError: if there is less than 0.2 s of speech.
        FaceNotFoundError: if no frame has a face; in reproduce mode, if one frame has none.
        Diff2LipError: if the file of `restore` cannot be used.
    """
    chosen = checked_options(options, "sync_video")
    with input_files(video, audio) as (video_file, audio_file):
        if video_file is not video:  # frames of a video, not photos, of which large ones are scaled down
            chosen = replace(chosen, max_pixels=chosen.max_pixels or MAX_PIXELS)
        places = located(video_file), None if audio_file is None else located(audio_file)
        target = located(output)
        if isinstance(target, Url) or urls_in(*places, chosen):
            return _sync_remote(pipe, places, target, chosen, on_progress, callback_on_step_end)
        local = _without_scheme(video_file), _without_scheme(audio_file), _without_scheme(output)
        return _sync_local(pipe, *local, chosen, on_progress, callback_on_step_end)


def _without_scheme(given: Any) -> Any:
    """The path that `file://` names; a path as it was given."""
    return located(given) if is_url(given) else given


def _sync_local(
    pipe: Diff2LipPipeline,
    video: str | Path,
    audio: str | Path | None,
    output: str | Path,
    options: SyncOptions,
    on_progress: Callable[[int, int | None], None] | None,
    callback_on_step_end: Callable | None,
) -> SyncResult:
    """Does the work of `sync_video` with files of this machine."""
    restorer_of(options, pipe._execution_device)  # loaded now, so that a file that cannot be used fails at once
    source = SourceVideo(video, max_pixels=options.max_pixels, hwaccel=options.hwaccel)
    job = SyncJob(pipe, source, audio, output, options)
    outcomes: list[SyncResult | Exception] = []

    def report(task: FrameTask) -> None:
        if on_progress is not None:
            on_progress(task.index + 1, job.plan.expected_frames)

    def end(_: SyncJob, outcome: SyncResult | Exception) -> None:
        outcomes.append(outcome)

    sync_jobs(pipe, [job], end, report, options.batch_size, callback_on_step_end)
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _sync_remote(
    pipe: Diff2LipPipeline,
    places: tuple[Location, Location | None],
    target: Location,
    options: SyncOptions,
    on_progress: Callable[[int, int | None], None] | None,
    callback_on_step_end: Callable | None,
) -> SyncResult:
    """Does the work of `sync_video` where an input or the output has a URL."""
    if isinstance(target, Url):
        check_remote_output(target, *places, options)
    with (
        local_inputs(*places, options) as (video, audio, local_options),
        files_of(options).output(target) if isinstance(target, Url) else nullcontext(target) as made,
    ):
        result = _sync_local(pipe, video, audio, made, local_options, on_progress, callback_on_step_end)
    return replace(result, output=target) if isinstance(target, Url) else result


def sync_jobs(
    pipe: Diff2LipPipeline,
    jobs: Iterable[AnyJob],
    on_end: Callable[[AnyJob, Any], None],
    on_frame: Callable[[FrameTask], None] | None = None,
    batch_size: int | None = None,
    callback_on_step_end: Callable | None = None,
) -> None:
    """Runs jobs one after another; reads the next one while the last one is sampled and encoded.

    A job that fails does not stop the others. Their results do not depend on each other, nor on the order.

    Args:
        pipe: the pipeline of all jobs.
        jobs: the jobs; each is taken in the thread that decodes, when it has time.
        on_end: called with a job and its result, or the exception that ended it, in the thread that encodes. What it
            raises ends everything.
        on_frame: called with each task when its face is painted.
        batch_size: crops sampled at a time, across jobs; by default what suits the device.
        callback_on_step_end: called after each step, as in a call of the pipeline.
    """
    batch_size = batch_size or default_batch_size(pipe)
    depth = min(batch_size, MAX_AHEAD)
    written, read = (
        Room(lambda painted: _frame_bytes(painted[0]), depth * AHEAD_BYTES),
        Room(_frame_bytes, depth * AHEAD_BYTES),
    )
    making: list[Job] = []
    with (
        _silent(pipe),
        WriteBehind[_Painted](lambda items: _write_jobs(items, on_end), depth, written) as write_later,
        closing(prefetch(_tasks_of(jobs, making), depth, read, lambda: _stop(making))) as items,
    ):
        count = 0
        for item, face in paint_frames(pipe, items, batch_size, callback_on_step_end):
            write_later((item, face))
            if isinstance(item, FrameTask):
                count += 1
                if count % TRIM_FRAMES == 0:
                    trim_heap()
                if on_frame is not None:
                    on_frame(item)


@dataclass(frozen=True)
class _End:
    """Follows the last task of a job.

    Args:
        job: the job.
        error: what ended its tasks too early.
    """

    job: Job
    error: Exception | None


_Painted = tuple[FrameTask | _End, Face | None]


def _frame_bytes(item: FrameTask | _End) -> int:
    return item.frame.nbytes if isinstance(item, FrameTask) else 0


def _stop(making: list[Job]) -> None:
    """Ends the job whose tasks are being made, if there is one, before its next task."""
    for job in making:
        job.error = job.error or Diff2LipError("stopped")


def _tasks_of(jobs: Iterable[Job], making: list[Job]) -> Generator[FrameTask | _End, None, None]:
    """Yields the tasks of all jobs; `making` holds the job whose tasks are being made."""
    for job in jobs:
        failure = None
        making[:] = [job]
        try:
            with closing(job.tasks()) as tasks:
                for task in tasks:
                    yield task
                    if job.error is not None:
                        break
        except Exception as error:
            failure = error
        making.clear()
        yield _End(job, failure)


def _write_jobs(items: Iterator[_Painted], on_end: Callable[[Any, Any], None]) -> None:
    """Writes the output of each job; the only place that says how a job ended."""
    for first in items:
        item = first[0]
        job, error = item.job, item.error if isinstance(item, _End) else None
        of_job = _through_end(chain([first], items))
        del first, item  # or the first frame stays until the job ends
        try:
            if error is not None:  # before the output was begun
                raise error
            outcome = job.write(_painted_tasks(of_job))
        except Exception as failure:
            job.error = outcome = failure
        for _ in of_job:  # tasks that were made before the other thread saw the error
            pass
        on_end(job, outcome)


def _through_end(items: Iterator[_Painted]) -> Iterator[_Painted]:
    """The items of one job; the last one is its end."""
    for item, face in items:
        yield item, face
        if isinstance(item, _End):
            return


def _painted_tasks(items: Iterator[_Painted]) -> Iterator[PaintedTask]:
    """The tasks of one job; raises what ended them too early."""
    for item, face in items:
        if isinstance(item, FrameTask):
            yield item, None if face is None else np.asarray(face)
        elif item.error is not None:
            raise item.error


@contextmanager
def _silent(pipe: Diff2LipPipeline) -> Iterator[None]:
    """Turns off the pipeline's own progress bar, of which there would be one per batch.

    Several threads may share the pipeline: the first one turns it off, the last one on again.
    """
    with _SILENCING:
        config, count = _SILENCED.get(pipe, (getattr(pipe, "_progress_bar_config", {}), 0))
        _SILENCED[pipe] = config, count + 1
        pipe.set_progress_bar_config(**{**config, "disable": True})
    try:
        yield
    finally:
        with _SILENCING:
            config, count = _SILENCED.pop(pipe)
            if count > 1:
                _SILENCED[pipe] = config, count - 1
            else:
                pipe.set_progress_bar_config(**config)
