"""Jobs through three threads: one decodes and finds faces, the caller's samples, one pastes and encodes.

Memory does not grow with the length of the clips, nor with the number of jobs.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..pipeline_diff2lip import Diff2LipPipeline
from .background import WriteBehind, prefetch
from .job import FrameTask, SyncJob, SyncResult
from .malloc_trim import trim_heap
from .options import checked_options
from .sampling import default_batch_size, paint_frames
from .source_video import SourceVideo

TRIM_FRAMES = 100

OnEnd = Callable[[SyncJob, SyncResult | Exception], None]


def sync_video(
    pipe: Diff2LipPipeline,
    video: str | Path,
    audio: str | Path | None,
    output: str | Path,
    on_progress: Callable[[int, int | None], None] | None = None,
    **options,
) -> SyncResult:
    """Writes `video` with its mouth moving to `audio`, and with that sound.

    Every frame of the video comes out, unless `length` says otherwise. Frames without the face, and those after the
    end of the speech, pass through as they are.

    Args:
        pipe: a [`Diff2LipPipeline`], on the device and in the precision to work in.
        video: what shows the face: a video file, an image file, or a folder of numbered image files.
        audio: file with the speech, sound or video; the video's own sound if None.
        output: file to write, `.mp4`, `.m4v`, `.mov` or `.mkv`, or a folder to fill with PNG files, by a name without
            suffix; it appears when it is complete.
        on_progress: called as `(frames done, frames expected or None)`.
        **options: the fields of [`SyncOptions`].

    Raises:
        ValueError: if an option is out of range.
        MediaError: if a file cannot be read or written.
        AudioTooShortError: if there is less than 0.2 s of sound.
        FaceNotFoundError: if no frame has a face; in reproduce mode, if one frame has none.
    """
    options = checked_options(options, "sync_video")
    job = SyncJob(pipe, SourceVideo(video), video if audio is None else audio, output, options)
    outcomes: list[SyncResult | Exception] = []

    def report(task: FrameTask) -> None:
        if on_progress is not None:
            on_progress(task.index + 1, job.plan.expected)

    sync_jobs(pipe, [job], lambda _, outcome: outcomes.append(outcome), report, options.batch_size)
    (outcome,) = outcomes
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def sync_jobs(
    pipe: Diff2LipPipeline,
    jobs: Iterable[SyncJob],
    on_end: OnEnd,
    on_frame: Callable[[FrameTask], None] | None = None,
    batch_size: int | None = None,
) -> None:
    """Works through jobs one after another, reading the next one while the last one is sampled and encoded.

    A job that fails does not stop the others. Their results do not depend on each other, nor on the order.

    Args:
        pipe: that of all jobs.
        jobs: taken when there is time for them, in the thread that decodes.
        on_end: called with a job and its result, or what ended it, in the thread that encodes. What it raises ends
            all.
        on_frame: called with each frame when it is sampled.
        batch_size: crops sampled at a time, across jobs; by default as the device likes.
    """
    batch_size = batch_size or default_batch_size(pipe)
    running: dict[SyncJob, None] = {}
    try:
        with (
            _silent(pipe),
            WriteBehind(lambda item, face: _finish(item, face, running, on_end), batch_size) as finish_later,
            closing(prefetch(_tasks_of(jobs, running), batch_size)) as items,
        ):
            count = 0
            for item, face in paint_frames(pipe, items, batch_size):
                finish_later(item, face)
                if isinstance(item, FrameTask):
                    count += 1
                    if count % TRIM_FRAMES == 0:
                        trim_heap()
                    if on_frame is not None:
                        on_frame(item)
    finally:
        for job in running:
            job.abandon()


@dataclass(frozen=True)
class _End:
    """Stands behind the last task of a job."""

    job: SyncJob


def _tasks_of(jobs: Iterable[SyncJob], running: dict[SyncJob, None]) -> Iterator[FrameTask | _End]:
    for job in jobs:
        running[job] = None
        try:
            with closing(job.tasks()) as tasks:
                for task in tasks:
                    yield task
                    if job.error is not None:
                        break
        except Exception as error:
            job.error = job.error or error
        yield _End(job)


def _finish(item: FrameTask | _End, face: np.ndarray | None, running: dict[SyncJob, None], on_end: OnEnd) -> None:
    job = item.job
    try:
        if job.error is None and isinstance(item, FrameTask):
            job.finish(item, face)
        result = job.close() if job.error is None and isinstance(item, _End) else None
    except Exception as error:
        job.error = error
    if isinstance(item, _End):
        job.abandon()
        del running[job]
        on_end(job, result if job.error is None else job.error)


@contextmanager
def _silent(pipe: Diff2LipPipeline) -> Iterator[None]:
    """Turns the pipeline's own progress bar off: there would be one per batch."""
    config = getattr(pipe, "_progress_bar_config", {})
    pipe.set_progress_bar_config(**{**config, "disable": True})
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**config)
