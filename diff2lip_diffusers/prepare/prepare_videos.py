"""Builds a training set from videos, in parallel; resumable."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..worker_processes import run_jobs
from .clip_sync import ClipSync, syncnet_digest
from .prepare_options import PrepareOptions
from .prepare_video import prepare_video
from .report_page import report_page
from .set_folder import CLIPS_NAME, IMAGES_NAME, REPORT_NAME, SetFolder
from .set_layout import CLIP_FPS
from .source_videos import InputVideo, find_videos


@dataclass(frozen=True)
class PrepareReport:
    """The content of a training set after a run, with that of earlier runs.

    Attributes:
        folder: of the set.
        num_videos: videos that were read.
        num_new: how many of them in this run.
        num_kept: clips in the set.
        kept_s: their total length in seconds.
        dropped: number of dropped segments by reason, most frequent first.
        report: an HTML page with images of all clips and dropped segments.
    """

    folder: Path
    num_videos: int
    num_new: int
    num_kept: int
    kept_s: float
    dropped: dict[str, int]
    report: Path


def prepare_videos(
    videos: str | Path | Iterable[str | Path],
    output: str | Path,
    options: PrepareOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> PrepareReport:
    """Builds a training set from talking-head videos, or resumes one; finished videos are not read again.

    Args:
        videos: files, and folders, which are searched recursively.
        output: the folder of the set.
        options: by default those of `PrepareOptions`.
        on_progress: is called with the number of finished videos and of all videos.

    Raises:
        MediaError: if a source is missing or has no video, or the set cannot be written.
        Diff2LipError: if the set was made with different options.
    """
    options = options or PrepareOptions()
    sources = find_videos([videos] if isinstance(videos, (str, Path)) else videos)
    folder = SetFolder(output)
    if options.syncnet:
        ClipSync(options.syncnet)  # fail before any work if it is no SyncNet
    folder.open(options, syncnet_digest(options.syncnet) if options.syncnet else None)
    with folder.exclusive():
        waiting = [video for video in sources if not folder.is_done(video)]
        num_done = len(sources) - len(waiting)
        for done, _ in enumerate(_prepared(folder, options, waiting), start=num_done + 1):
            if on_progress is not None:
                on_progress(done, len(sources))
        records = folder.records()
        folder.write_index(records)
        folder.write(folder.path / REPORT_NAME, report_page(records, folder.options(), CLIPS_NAME, IMAGES_NAME))
    return _report(folder, records, len(waiting))


def _prepared(folder: SetFolder, options: PrepareOptions, videos: Sequence[InputVideo]) -> Iterator[dict]:
    """Yields the record of each video when it is done."""
    return run_jobs(partial(_make_work, folder, options), videos, options.workers)


def _make_work(folder: SetFolder, options: PrepareOptions) -> Callable[[InputVideo], dict]:
    measure_sync = ClipSync(options.syncnet) if options.syncnet else None
    return partial(prepare_video, folder=folder, options=options, measure_sync=measure_sync)


def _report(folder: SetFolder, records: list[dict], num_new: int) -> PrepareReport:
    clips = [clip for record in records for clip in record["clips"]]
    reasons = Counter(dropped["reason"] for record in records for dropped in record["dropped"])
    return PrepareReport(
        folder.path,
        len(records),
        num_new,
        len(clips),
        sum(clip["frames"] for clip in clips) / CLIP_FPS,
        dict(reasons.most_common()),
        folder.path / REPORT_NAME,
    )
