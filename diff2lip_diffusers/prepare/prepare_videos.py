"""Videos to a training set: shared by processes, gone on with where an earlier run was stopped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from ..worker_processes import run_in_processes
from .clip_sync import ClipSync, syncnet_digest
from .prepare_options import CLIP_FPS, PrepareOptions
from .prepare_video import prepare_video
from .report_page import report_page
from .set_folder import CLIPS_NAME, IMAGES_NAME, REPORT_NAME, SetFolder
from .source_videos import InputVideo, find_videos


@dataclass(frozen=True)
class PrepareReport:
    """What a training set holds after a run, that of earlier runs included.

    Attributes:
        folder: of the set.
        num_videos: how many were looked through.
        num_new: how many of them in this run.
        num_kept: clips in the set.
        kept_s: their length in seconds.
        dropped: how many segments were dropped, by reason, the most frequent first.
        report: a page with pictures of all that.
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
    """Makes a training set of talking-head videos, or goes on with one: what is done already is left as it is.

    Args:
        videos: files, and folders, which are searched to their depth.
        output: the folder of the set.
        options: how; by default as `PrepareOptions` has it.
        on_progress: is called with the numbers of videos that are done and of all.

    Raises:
        MediaError: a source is missing or an empty folder, or the set cannot be written.
        Diff2LipError: the set was made with other options.
    """
    options = options or PrepareOptions()
    sources = find_videos([videos] if isinstance(videos, (str, Path)) else videos)
    folder = SetFolder(output)
    if options.syncnet:
        ClipSync(options.syncnet)  # what is no SyncNet is said before anything is made
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
    """The record of each video when it is done."""
    make_work = partial(_make_work, folder, options)
    if min(options.workers, len(videos)) > 1:
        for _, record in run_in_processes(make_work, videos, min(options.workers, len(videos))):
            yield record
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with others, numbers are rounded otherwise
    try:
        yield from map(make_work(), videos)
    finally:
        torch.set_num_threads(threads)


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
