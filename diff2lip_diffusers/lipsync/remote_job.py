"""Jobs whose inputs have URLs."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import MediaError
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.input_cache import HeldInputs
from ..stores.remote_files import RemoteFiles, name_urls, naming_urls
from ..stores.urls import Location, Url
from .frame_tasks import FrameTask
from .job import SyncJob
from .options import SyncOptions
from .source_video import SourceVideo


def files_of(options: SyncOptions) -> RemoteFiles:
    """Reads and writes what has a URL, as the options say."""
    return RemoteFiles(options.cache_dir, options.cache_gb, options.allow_remote)


def urls_in(video: Any, audio: Any, options: SyncOptions) -> list[Url]:
    """The inputs of a job that have URLs; frames and samples in memory have none."""
    named = (options.drive, options.mask, options.reference, *options.detail_from)
    return [place for place in (video, audio, *named) if isinstance(place, Url)]


def check_remote_output(url: Url, video: Any, audio: Any, options: SyncOptions) -> None:
    """Checks before the work that an output can be written, and is no input.

    Raises:
        MediaError: it cannot, or is one.
    """
    if url in urls_in(video, audio, options):
        raise MediaError(str(url), "is an input as well; choose another name for the output")
    files_of(options).check_output(url)


def with_local_files(options: SyncOptions, held: HeldInputs) -> SyncOptions:
    """The options with local copies in the place of URLs."""
    local = {name: _local(getattr(options, name), held) for name in ("drive", "mask", "reference")}
    return replace(options, **local, detail_from=tuple(_local(one, held) for one in options.detail_from))


def _local(value: Any, held: HeldInputs) -> Any:
    return held.paths[value] if isinstance(value, Url) else value


@contextmanager
def local_inputs(video: Any, audio: Any, options: SyncOptions) -> Iterator[tuple[Any, Any, SyncOptions]]:
    """Inside the block, no input of a job has a URL; errors name the URLs that they had.

    Raises:
        MediaError: an input cannot be read.
    """
    with files_of(options).hold(urls_in(video, audio, options)) as held, naming_urls(held.paths):
        yield _local(video, held), _local(audio, held), with_local_files(options, held)


class RemoteJob(SyncJob):
    """A [`SyncJob`] that fetches its inputs when its first frame is wanted, in the thread that decodes.

    Args:
        pipe: the pipeline that paints.
        files: fetches the inputs.
        video: the face video.
        audio: file with the audio to be heard; None for the video's own.
        output: local file to write.
        options: of the job.
        source: opens the local copy of the video.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        files: RemoteFiles,
        video: Location,
        audio: Location | None,
        output: Path,
        options: SyncOptions,
        source: Callable[[Path], SourceVideo],
    ):
        super().__init__(pipe, SourceVideo(video.name), None, output, options)
        self._files, self._inputs, self._source = files, (video, audio), source
        self._held: HeldInputs | None = None
        self._paths: dict[Url, Path] = {}

    def tasks(self) -> Generator[FrameTask, None, None]:
        """Fetches the inputs, and yields the output frames, in order."""
        video, audio = self._inputs
        with self.timer.stage("fetch"):
            held = self._held = self._files.hold(urls_in(video, audio, self.options))
        self._paths = dict(held.paths)
        self.source, self.audio = self._source(_local(video, held)), _local(audio, held)
        self.options = with_local_files(self.options, held)
        with closing(super().tasks()) as tasks:
            yield from tasks

    def end(self, outcome: object) -> None:
        """Lets the inputs go; an error names their URLs from then on."""
        if self._held is not None:
            self._held.close()
        if isinstance(outcome, Exception):
            name_urls(outcome, self._paths)
