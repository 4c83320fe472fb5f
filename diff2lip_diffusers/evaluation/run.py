"""Judges lip-synced videos: many clips by several systems, over many processes, resumable."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..errors import MediaError
from ..output_paths import writing
from ..worker_processes import run_jobs
from .clips import Clip, find_clips
from .measure_clip import measure_clip, rounded
from .measures.choice import left_out, make_groups
from .measures.over_all_clips import measure_over_all_clips
from .options import EvaluateOptions
from .report.write import write_report
from .results import Results, build_results

STATE_NAME = ".evaluate"
DEFAULT_SYSTEM = "result"
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        results: numbers of every system and clip.
        report: the page to look at.
    """

    results: Results
    report: Path


def evaluate(
    results: str | Path | None,
    output: str | Path,
    reference: str | Path | None = None,
    systems: Mapping[str, str | Path] | None = None,
    audio: str | Path | None = None,
    on_progress: OnProgress | None = None,
    **options,
) -> Evaluation:
    """Measures lip-synced videos and writes a report; the same call resumes one that was stopped.

    Args:
        results: a video, a folder of videos, or the `results.jsonl` of a batch; None if `systems` has everything.
        output: folder for the report.
        reference: the videos that the results were made from, or the truth: a video or a folder, matched by file name.
        systems: further results by the name of the system that made them.
        audio: the speech that the mouths should follow: a file or a folder; by default each result's own audio.
        on_progress: called with the numbers of clips done and of all.
        **options: the fields of [`EvaluateOptions`].

    Raises:
        ValueError: if an option is out of range.
        MediaError: if a path is missing, holds no video, or the report cannot be written.
        CheckpointError: if a file of weights does not hold what it should.
    """
    settings = EvaluateOptions(**options)
    named = {**({DEFAULT_SYSTEM: results} if results is not None else {}), **(systems or {})}
    if not named:
        raise ValueError("`results` is None and `systems` is empty, expected something to judge")
    clips, unmatched = find_clips(named, reference, audio)
    if not clips:
        raise MediaError(next(iter(named.values())), "has nothing to judge: " + unmatched[0].reason)
    state = _State(Path(output), settings)
    groups = make_groups(settings)  # says at once what is wrong with weights
    waiting = [clip for clip in clips if state.read(clip) is None]
    done = len(clips) - len(waiting)
    if on_progress is not None:
        on_progress(done, len(clips))
    for count, _ in enumerate(_measured(waiting, state, settings), start=done + 1):
        if on_progress is not None:
            on_progress(count, len(clips))
    measured = (record for clip in clips if (record := state.read(clip)) is not None)
    missing = left_out(settings, groups)
    overall, problems = measure_over_all_clips(state.features_of(clips), list(named), groups)
    overall = {system: {name: rounded(value) for name, value in found.items()} for system, found in overall.items()}
    table = build_results(list(named), measured, [*unmatched, *problems], overall, missing, settings.as_json())
    return Evaluation(table, write_report(table, clips, Path(output), settings.num_clips_shown))


def _measured(clips: list[Clip], state: "_State", settings: EvaluateOptions) -> Iterator[object]:
    return run_jobs(partial(_Work, state, settings), clips, settings.workers)


class _Work:
    """Measures clips in one process."""

    def __init__(self, state: "_State", settings: EvaluateOptions):
        self._state, self._settings = state, settings
        self._groups = make_groups(settings)

    def __call__(self, clip: Clip) -> None:
        features = self._state.features(clip)
        self._state.write(clip, measure_clip(clip, self._groups, self._settings.detection(), features))


class _State:
    """What was measured so far, in a hidden folder of the report: a file a clip, whole or not there.

    A clip's file is named after everything that it depends on, so what has changed is measured anew.
    """

    def __init__(self, output: Path, settings: EvaluateOptions):
        self._folder = output / STATE_NAME
        self._settings = [settings.as_json(), [_stamp(path) for path in settings.weights()]]
        with writing(output):
            self._folder.mkdir(parents=True, exist_ok=True)

    def _path(self, clip: Clip) -> Path:
        files = [*clip.outputs.values(), clip.reference, *map(clip.speech_of, clip.outputs)]
        facts = [clip.name, list(clip.outputs), [_stamp(file) for file in files], clip.records, self._settings]
        return self._folder / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def features(self, clip: Clip) -> Path:
        """Folder for the features of a clip that are compared over all clips."""
        folder = self._path(clip).with_suffix(".features")
        with writing(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def features_of(self, clips: list[Clip]) -> list[Path]:
        return [self._path(clip).with_suffix(".features") for clip in clips]

    def read(self, clip: Clip) -> dict | None:
        try:
            return json.loads(self._path(clip).with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, clip: Clip, record: dict) -> None:
        path = self._path(clip).with_suffix(".json")
        part = path.with_suffix(".part")
        with writing(path):
            part.write_text(json.dumps(record), encoding="utf-8")
            part.replace(path)


def _stamp(path: Path | None) -> list | None:
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), status.st_size, status.st_mtime_ns]
