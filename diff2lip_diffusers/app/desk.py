"""Where the page hands in jobs: consent, files, the line and the models, without any browser."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..errors import Diff2LipError
from .first_frame import FirstFrame, read_first_frame
from .job_inputs import check_video, hiding_paths
from .job_line import JobLine, JobState, QueuedJob
from .lip_sync_job import LipSyncRequest, lip_sync, take_inputs
from .models import Models
from .personal_job import make_personal_model, preview_of, take_videos
from .settings import AppSettings
from .temporary_files import TemporaryFiles

NO_CONSENT = "First confirm that the people in the video and in the recording agreed."
MY_FACE = "my own face"


class Desk:
    """All that the page does on the server.

    Args:
        settings: of the page.
        parent: folder for temporary files; by default the system's.

    Attributes:
        files: uploads and results.
        line: the jobs.
        models: what can be chosen.
    """

    def __init__(self, settings: AppSettings, parent: Path | None = None):
        self.settings = settings
        self.files = TemporaryFiles(settings.keep_s, parent)
        self.line = JobLine(settings.max_jobs, settings.max_jobs_per_person)
        self.models = Models(settings)

    def first_frame(self, upload: str) -> FirstFrame:
        """The first frame of an upload, after a check that the video can be used.

        Raises:
            Diff2LipError: if it cannot.
        """
        self.files.check_upload(upload)
        with hiding_paths(Path(upload).parent):
            check_video(Path(upload), self.settings)
            return read_first_frame(Path(upload), self.settings.max_pixels)

    def lip_sync(self, person: str, consent: bool, request: LipSyncRequest) -> QueuedJob:
        """Adds a lip-sync job to the line; its result is a `LipSyncDone`.

        Raises:
            Diff2LipError: without consent, if there is no place in the line, or if something cannot be used.
            ValueError: if an option is out of range.
        """
        self._check(person, consent, [request.video, request.speech])
        self.models.source(person, request.model)

        def make(folder: Path) -> Callable:
            inputs = take_inputs(request, folder, self.settings)
            return partial(lip_sync, request, inputs, person, self.models, self.settings)

        job, _ = self._join(person, make)
        return job

    def personal(
        self, person: str, consent: bool, uploads: Sequence[str], model: str, minutes: float
    ) -> tuple[QueuedJob, Callable[[], Path | None]]:
        """Adds a job that makes a model of one person; its result is a `PersonalDone`.

        Returns:
            The job, and a function that returns the newest preview.

        Raises:
            Diff2LipError: without consent, if there is no place in the line, or if a video cannot be used.
        """
        if not self.settings.personal:
            raise Diff2LipError("Models of people are switched off here.")
        self._check(person, consent, uploads)
        source = self.models.training_source(person, model)

        def make(folder: Path) -> Callable:
            inputs = take_videos(uploads, source, minutes, folder, self.settings)
            return partial(make_personal_model, inputs, person, MY_FACE, self.models, self.settings)

        job, folder = self._join(person, make)
        return job, partial(preview_of, folder)

    def leave(self, person: str) -> int:
        """Cancels all jobs of a person; returns how many."""
        return self.line.leave(person)

    def close(self) -> None:
        """Cancels all jobs and deletes all files."""
        self.line.close()
        self.files.close()

    def _check(self, person: str, consent: bool, uploads: Sequence[str | None]) -> None:
        if consent is not True:
            raise Diff2LipError(NO_CONSENT)
        self.line.check_place(person)
        for upload in uploads:
            if upload:
                self.files.check_upload(upload)

    def _join(self, person: str, make: Callable[[Path], Callable]) -> tuple[QueuedJob, Path]:
        """Makes the work of a job in a new folder, which is deleted if there will be no result."""
        folder = self.files.new_job_folder()

        def on_end(state: JobState) -> None:
            self.files.release(folder, keep=state is JobState.DONE)

        try:
            return self.line.join(person, make(folder), on_end), folder
        except BaseException:
            self.files.release(folder, keep=False)
            raise
