"""Makes a model of one person from videos of the person."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import MediaError
from ..prepare.source_videos import find_videos
from .base_weights import BaseWeights, read_base_weights
from .held_out import read_other_speech
from .inputs_record import InputsRecord, today
from .material import Material, prepare_material
from .options import PersonalizeOptions
from .person_folder import PersonFolder
from .person_trainer import PersonProgress, PersonTrainer
from .personal_model import write_personal_model
from .recipe import steps_that_fit, train_config
from .unusable_videos import UnusableVideosError

# The crops are kept larger than the model paints them, so that shifted and scaled ones stay sharp.
CROPS_AGAINST_MODEL, MOST_CROP_PX = 2, 512
# Share of the time after which training stops in any case; the rest is for measuring and writing.
RUN_SHARE = 0.9


@dataclass(frozen=True)
class PersonalModel:
    """A finished personal model.

    Attributes:
        folder: the pipeline folder.
        report: a page with held-out frames and numbers.
        results: the numbers by name, as in `personal.json`.
    """

    folder: Path
    report: Path
    results: dict


def personalize(
    videos: str | Path | Iterable[str | Path],
    output: str | Path,
    options: PersonalizeOptions | None = None,
    on_prepared: Callable[[int, int], None] | None = None,
    on_progress: Callable[[PersonProgress], None] | None = None,
    **changes,
) -> PersonalModel:
    """Makes a pipeline folder for one person from videos of the person; resumes what was interrupted.

    It prepares the videos, holds out their last part, trains until the held-out frames get no better or the time is
    over, and measures. `output/work` holds the state of an unfinished model; it is removed at the end.

    Args:
        videos: files of one person, and folders, which are searched recursively.
        output: the pipeline folder.
        options: by default those of `PersonalizeOptions`.
        on_prepared: is called with the number of prepared videos and of all videos.
        on_progress: is called after each step.
        **changes: fields of `PersonalizeOptions`, such as `consent=True` or `minutes=10`.

    Raises:
        ValueError: without consent, unless an interrupted command had it, or if an option is out of range.
        UnusableVideosError: if there is not enough speech, no large face, or several people.
        MediaError: if a video cannot be read, or the folder cannot be written.
        Diff2LipError: if the folder was begun with other videos or options.
    """
    options = replace(options or PersonalizeOptions(), **changes)
    sources = [videos] if isinstance(videos, (str, Path)) else list(videos)
    folder = PersonFolder(output)
    if not options.consent and folder.stored() is None:
        raise ValueError(
            "`consent` is missing; ask the person in the videos, and confirm that they agreed to a model of their face"
            " (--i-have-consent)"
        )
    stamps = {str(video.path): video.stamp() for video in find_videos(sources)}
    inputs = folder.begin(InputsRecord(stamps, options.result_options(), 0, today()))
    if folder.results() is None:
        base = read_base_weights(options.model)
        read_other_speech(options.speech)
        with folder.alone():
            folder.store(inputs)
            size_px = min(CROPS_AGAINST_MODEL * base.size_px, MOST_CROP_PX)
            try:
                material = prepare_material(sources, folder.work, size_px, options, on_prepared)
            except UnusableVideosError:
                folder.forget()
                raise
            if not inputs.max_train_steps:
                inputs = replace(inputs, max_train_steps=steps_that_fit(options, base, material.folder))
                folder.store(inputs)
            _make(folder, inputs, options, base, material, on_progress)
    folder.forget_work()
    results = folder.results()
    if results is None:
        raise MediaError(folder.path, "was changed by another program; start again")
    return PersonalModel(folder.path, folder.report, results)


def _make(
    folder: PersonFolder,
    inputs: InputsRecord,
    options: PersonalizeOptions,
    base: BaseWeights,
    material: Material,
    on_progress: Callable[[PersonProgress], None] | None,
) -> None:
    """Trains, measures, and writes the model."""
    config = train_config(options, base, material.folder, folder.run, inputs.max_train_steps)
    limit_s = RUN_SHARE * 60 * options.minutes
    trainer = PersonTrainer(config, material.held_out, options.speech, limit_s, folder.preview)
    try:
        trained = trainer.train(on_progress)
    finally:
        trainer.close()
    write_personal_model(folder, inputs, base, material, trained)
