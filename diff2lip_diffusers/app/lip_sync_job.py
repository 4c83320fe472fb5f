"""A lip-sync job of the page: from what a person chose to the result and its numbers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..corpus.reading_voices import DEFAULT_VOICE
from ..evaluation.aligned_frames import known_boxes
from ..hub import default_device
from ..lipsync.options import SyncOptions
from ..lipsync.run import sync_video
from .first_frame import read_first_frame
from .job_inputs import hiding_paths, take_speech, take_video
from .job_line import QueuedJob
from .models import DEFAULT_SCHEDULER, Models
from .result_numbers import ResultNumbers, measure_result
from .settings import DEMO_MODEL, DRAWN_SYNCNET, AppSettings

RESULT_NAME = "lip-sync.mp4"


@dataclass(frozen=True)
class LipSyncRequest:
    """What a person asks for.

    Attributes:
        video: path of the upload.
        speech: path of the upload; None for the video's own sound, unless there is a text.
        text: what is to be said; it goes before `speech`.
        voice: a key of `VOICES`.
        face: one of the names of `FirstFrame`.
        model: name of the model.
        scheduler: one of `SCHEDULER_NAMES`.
        restore: whether the face restorer of the settings is used.
        options: fields of `SyncOptions`.
    """

    video: str | None
    speech: str | None = None
    text: str | None = None
    voice: str | None = DEFAULT_VOICE
    face: str | None = None
    model: str = DEMO_MODEL
    scheduler: str = DEFAULT_SCHEDULER
    restore: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LipSyncInputs:
    """A request whose files are in the folder of the job, and which can work as far as is known before.

    Attributes:
        video: the face.
        speech: the recording.
        options: fields of `SyncOptions`.
    """

    video: Path
    speech: Path
    options: dict[str, Any]


@dataclass(frozen=True)
class LipSyncDone:
    """A finished job.

    Attributes:
        source: the video that was given.
        result: what came of it.
        numbers: measurements.
    """

    source: Path
    result: Path
    numbers: ResultNumbers


def take_inputs(request: LipSyncRequest, folder: Path, settings: AppSettings) -> LipSyncInputs:
    """Puts the files of a request into the folder of its job, and checks everything.

    Raises:
        Diff2LipError: if something cannot be used; one line for the person.
        ValueError: if an option is out of range.
    """
    with hiding_paths(folder):
        video = take_video(request.video, folder, settings)
        speech = take_speech(request.speech, request.text, request.voice, video, folder, settings)
        options = dict(request.options)
        options |= {"max_duration": settings.max_duration, "max_pixels": settings.max_pixels}
        boxes = known_boxes(video)
        if boxes is not None:
            options["detections"] = boxes
        elif request.face:
            options["face"] = read_first_frame(video, settings.max_pixels).option(request.face)
        if request.restore and settings.restore is not None:
            options["restore"] = settings.restore
        SyncOptions(**options)
        return LipSyncInputs(video, speech, options)


def lip_sync(
    request: LipSyncRequest, inputs: LipSyncInputs, person: str, models: Models, settings: AppSettings, job: QueuedJob
) -> LipSyncDone:
    """Does the work.

    Raises:
        Diff2LipError: if something cannot be used, or the job was canceled; one line for the person.
    """
    folder = inputs.video.parent
    with hiding_paths(folder):
        job.enter("loading the model")
        pipe, defaults = models.pipeline(person, request.model, request.scheduler)
        job.enter("painting frames")
        begun_s = time.monotonic()
        output = folder / RESULT_NAME

        def on_step(*arguments: Any) -> dict[str, Any]:
            job.go_on()
            return arguments[-1]

        options = defaults | inputs.options
        made = sync_video(pipe, inputs.video, inputs.speech, output, job.report, on_step, **options)
        seconds = time.monotonic() - begun_s
        job.enter("measuring the result")
        syncnet = settings.own_syncnet or (DRAWN_SYNCNET if request.model == DEMO_MODEL else None)
        face = inputs.options.get("face", "largest")
        device = settings.device or default_device()
        numbers = measure_result(made, seconds, inputs.video, inputs.speech, face, folder, syncnet, device)
        return LipSyncDone(inputs.video, output, numbers)
