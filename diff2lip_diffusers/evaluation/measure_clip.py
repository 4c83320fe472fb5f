"""All measures of one clip: its outputs are read once each, and every group of measures looks on."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from ..boxes import FaceBox
from ..errors import Diff2LipError
from ..lipsync.options import SyncOptions
from ..media.reader import probe_video
from .aligned_frames import AlignedClip, AlignedFrame, NotMeasurable, follow_face
from .clips import Clip
from .measures.group import ClipView, GroupFactory, MeasureGroup
from .measures.stored_features import features_place

DIGITS = 6
# Rounding errors of nothing.
NOTHING = 1e-9


def measure_clip(clip: Clip, groups: Mapping[str, GroupFactory], detection: SyncOptions, features: Path) -> dict:
    """Returns the numbers of each system, as plain JSON values.

    Args:
        clip: the files.
        groups: the groups of measures by name.
        detection: how the face is found.
        features: folder for features that are compared over all clips.

    Returns:
        `name`; `notes` about the reference; `systems`: for each `values` by measure, `curves`, and `notes`, one line
        each, on what could not be measured.
    """
    measured: dict = {"name": clip.name, "notes": [], "systems": {}}
    reference, notes = _usable_reference(clip)
    measured["notes"] += notes
    faces = _Faces(detection)
    for system in clip.outputs:
        try:
            measured["systems"][system] = _measure_output(clip, system, reference, groups, faces, features)
        except Diff2LipError as error:
            measured["systems"][system] = {"values": {}, "curves": {}, "notes": [_line(error)], "failed": True}
    return measured


def _usable_reference(clip: Clip) -> tuple[Path | None, list[str]]:
    if clip.reference is None:
        return None, []
    try:
        probe_video(clip.reference)
    except Diff2LipError as error:
        return None, [f"the reference {_line(error)}"]
    return clip.reference, []


def _measure_output(
    clip: Clip,
    system: str,
    reference: Path | None,
    groups: Mapping[str, GroupFactory],
    faces: "_Faces",
    features: Path,
) -> dict:
    output, notes = clip.outputs[system], []
    try:
        aligned = AlignedClip(output, reference, [])
    except NotMeasurable as error:
        notes.append(f"{_line(error)}; measures that need a reference are left out")
        reference, aligned = None, AlignedClip(output, None, [])
    aligned.boxes = faces.boxes(reference or output, aligned.fps)
    if not any(aligned.boxes):
        notes.append("no face was found; measures of the face are left out")
    place = features_place(features, system)
    view = ClipView(clip, system, aligned.fps, aligned.boxes, reference is not None, place)
    looking_on = _Groups(groups, view, notes)
    for frame in aligned:
        looking_on.add(frame)
    values, curves = looking_on.results()
    return {"values": values, "curves": curves, "notes": [*aligned.notes, *notes], "num_frames": aligned.num_frames}


class _Faces:
    """The boxes of the face, found once for the reference that all systems share."""

    def __init__(self, detection: SyncOptions):
        self._detection = detection
        self._found: dict[tuple[Path, Fraction], list[FaceBox | None]] = {}

    def boxes(self, video: Path, fps: Fraction) -> list[FaceBox | None]:
        if (video, fps) not in self._found:
            self._found[video, fps] = follow_face(video, fps, self._detection)
        return self._found[video, fps]


class _Groups:
    """The groups that look on; one that cannot go on is left out, and the reason is noted."""

    def __init__(self, factories: Mapping[str, GroupFactory], view: ClipView, notes: list[str]):
        self._notes = notes
        self._running: dict[str, MeasureGroup] = {}
        for name, factory in factories.items():
            with self._noting(name):
                self._running[name] = factory(view)

    def add(self, frame: AlignedFrame) -> None:
        for name, group in list(self._running.items()):
            with self._noting(name):
                group.add(frame)

    def results(self) -> tuple[dict[str, float], dict[str, list[float]]]:
        values: dict[str, float] = {}
        curves: dict[str, list[float]] = {}
        for name, group in list(self._running.items()):
            with self._noting(name):
                found = group.values()
                values |= {key: rounded(value) for key, value in found.items() if math.isfinite(value)}
                curves |= {key: [rounded(value) for value in curve] for key, curve in group.curves().items()}
        return values, curves

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except NotMeasurable as error:
            self._running.pop(name, None)
            self._notes.append(f"{name}: {_line(error)}")


def rounded(value: float) -> float:
    """Returns a number that rounding errors of another machine hardly change."""
    return 0.0 if abs(value) < NOTHING else float(f"{float(value):.{DIGITS}g}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
