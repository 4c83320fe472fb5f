"""A job of the page that makes a model of one person."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Diff2LipError
from ..personal.options import PersonalizeOptions
from ..personal.person_folder import PREVIEW_NAME
from ..personal.person_trainer import PersonProgress
from ..personal.personalize import personalize
from .job_inputs import check_video, hiding_paths
from .job_line import QueuedJob
from .models import Models
from .settings import AppSettings

MODEL_NAME = "model"
MAX_VIDEOS = 10


@dataclass(frozen=True)
class PersonalInputs:
    """Videos of one person in the folder of the job.

    Attributes:
        videos: the files.
        model: the weights to start from.
        minutes: time for the training.
    """

    videos: list[Path]
    model: str | Path
    minutes: float

    @property
    def folder(self) -> Path:
        """The folder of the job."""
        return self.videos[0].parent


@dataclass(frozen=True)
class PersonalDone:
    """A finished model.

    Attributes:
        folder: the pipeline folder.
        archive: the same as one file.
        results: numbers by name, as in `personal.json`.
    """

    folder: Path
    archive: Path
    results: dict[str, Any]


def take_videos(
    uploads: Sequence[str], model: str | Path, minutes: float, folder: Path, settings: AppSettings
) -> PersonalInputs:
    """Puts videos into the folder of the job, and checks them.

    Raises:
        Diff2LipError: if there is none or too many, or one cannot be used.
    """
    if not uploads:
        raise Diff2LipError("There is no video of you; upload one, or several.")
    if len(uploads) > MAX_VIDEOS:
        raise Diff2LipError(f"There are {len(uploads)} videos, more than the limit of {MAX_VIDEOS}.")
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not minutes > 0:
        raise Diff2LipError("The time for training must be a number of minutes above 0.")
    videos = []
    with hiding_paths(folder):
        for number, upload in enumerate(uploads, 1):
            suffix = Path(upload).suffix.lower()
            video = folder / f"video_{number}{suffix if suffix[1:].isalnum() else '.mp4'}"
            shutil.copyfile(upload, video)
            check_video(video, settings)
            videos.append(video)
    return PersonalInputs(videos, model, min(minutes, settings.max_personal_minutes))


def preview_of(folder: Path) -> Path | None:
    """The newest preview of a model that is being made, if there is one."""
    preview = folder / MODEL_NAME / PREVIEW_NAME
    return preview if preview.is_file() else None


def make_personal_model(
    inputs: PersonalInputs, person: str, name: str, models: Models, settings: AppSettings, job: QueuedJob
) -> PersonalDone:
    """Does the work, and adds the model to those that the person can choose.

    Raises:
        Diff2LipError: if the videos cannot be used, or the job was canceled; one line for the person.
    """

    def on_progress(progress: PersonProgress) -> None:
        job.report(progress.step, progress.num_steps)
        if job.stage != TRAINING:
            job.enter(TRAINING)

    with hiding_paths(inputs.folder):
        job.enter("looking for your face")
        options = PersonalizeOptions(consent=True, model=inputs.model, minutes=inputs.minutes)
        made = personalize(inputs.videos, inputs.folder / MODEL_NAME, options, job.report, on_progress)
        archive = shutil.make_archive(str(inputs.folder / "my-face"), "zip", made.folder)
        models.add(person, name, made.folder)
        return PersonalDone(made.folder, Path(archive), made.results)


TRAINING = "training"
