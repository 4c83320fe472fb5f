"""Jobs whose inputs have URLs."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from ..errors import MediaError
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from ..stores.input_cache import HeldInputs
from ..stores.remote_files import RemoteFiles, local_of, name_urls, naming_urls
from ..stores.urls import Location, Url, located
from .frame_tasks import FrameTask
from .job import SyncJob
from .options import SyncOptions
from .source_video import SourceVideo


def files_of(options: SyncOptions) -> RemoteFiles:
    """Reads and writes what has a URL, as the options say."""
    return RemoteFiles(options.cache_dir, options.cache_gb, options.allow_remote)


def urls_in(video: Location, audio: Location | None, options: SyncOptions) -> list[Url]:
    """The inputs of a job that have URLs."""
    places = (video, audio, *(None if one is None else located(one) for one in (options.drive, options.mask)))
    return [place for place in (*places, *map(located, options.detail_from)) if isinstance(place, Url)]


def check_remote_output(url: Url, video: Location, audio: Location | None, options: SyncOptions) -> None:
    """Checks before the work that an output can be written, and is no input.

    Raises:
        MediaError: it cannot, or is one.
    """
    if url in urls_in(video, audio, options):
        raise MediaError(str(url), "is an input as well; choose another name for the output")
    files_of(options).check_output(url)


def with_local_files(options: SyncOptions, held: HeldInputs) -> SyncOptions:
    """The options with local copies in the place of URLs."""
    paths = held.paths
    drive, mask = (options.drive, options.mask)
    return replace(
        options,
        drive=paths[drive] if isinstance(drive, Url) else drive,
        mask=paths[mask] if isinstance(mask, Url) else mask,
        detail_from=tuple(paths[one] if isinstance(one, Url) else one for one in options.detail_from),
    )


@contextmanager
def local_inputs(
    video: Location, audio: Location | None, options: SyncOptions
) -> Iterator[tuple[Path, Path | None, SyncOptions]]:
    """Inside the block, all inputs of a job are local files; errors name their URLs.

    Raises:
        MediaError: an input cannot be read.
    """
    with files_of(options).hold(urls_in(video, audio, options)) as held, naming_urls(held.paths):
        local_video = held.paths[video] if isinstance(video, Url) else video
        yield local_video, local_of(audio, held.paths), with_local_files(options, held)


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
        self.source = self._source(held.paths[video] if isinstance(video, Url) else video)
        self.audio = local_of(audio, held.paths)
        self.options = with_local_files(self.options, held)
        with closing(super().tasks()) as tasks:
            yield from tasks

    def end(self, outcome: object) -> None:
        """Lets the inputs go; an error names their URLs from then on."""
        if self._held is not None:
            self._held.close()
        if isinstance(outcome, Exception):
            name_urls(outcome, self._paths)
