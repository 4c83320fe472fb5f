"""Which videos belong together: the outputs of every system, their source videos and their speech, by file name."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import MediaError
from ..media.containers import check_regular

VIDEO_SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".gif"}
AUDIO_SUFFIXES = {".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus"}


@dataclass(frozen=True)
class Clip:
    """The files of one clip.

    Attributes:
        name: path below its folder, without suffix; the same for all systems.
        outputs: the lip-synced video of each system that has one.
        reference: the video that the outputs were made from, or the truth; None if there is none.
        audio: file with the speech that the mouths of all systems should follow, as the user named it.
        records: what `results.jsonl` says about the output of a system.
    """

    name: str
    outputs: dict[str, Path]
    reference: Path | None = None
    audio: Path | None = None
    records: dict[str, dict] = field(default_factory=dict)

    def speech_of(self, system: str) -> Path:
        """The file with the speech that a system's mouth should follow, by default the output itself."""
        record = self.records.get(system)
        return self.audio or (Path(record["audio"]) if record else self.outputs[system])

    def source_of(self, system: str) -> Path | None:
        """The video that a system's output was made from, as far as is known; otherwise the reference."""
        record = self.records.get(system)
        return Path(record["video"]) if record else self.reference


@dataclass(frozen=True)
class Unmatched:
    """A file that takes no part, or only a part, in a comparison.

    Attributes:
        clip: the clip's name.
        system: whose file; "reference" for the reference videos.
        reason: one line.
    """

    clip: str
    system: str
    reason: str


@dataclass(frozen=True)
class _Entry:
    """What a system has for one name."""

    output: Path | None
    reference: Path | None = None
    record: dict | None = None
    problem: str | None = None


def find_clips(
    systems: Mapping[str, str | Path], reference: str | Path | None = None, audio: str | Path | None = None
) -> tuple[list[Clip], list[Unmatched]]:
    """Returns the clips by name, and what cannot be matched.

    Args:
        systems: by name, a video, a folder that is searched to its depth, or the `results.jsonl` of a batch.
        reference: a video or a folder; `results.jsonl` names the source videos itself.
        audio: an audio or video file, or a folder; `results.jsonl` names the speech itself.

    Raises:
        MediaError: if a path is missing or holds no video, or `results.jsonl` is damaged.
    """
    entries = {system: _entries(Path(path)) for system, path in systems.items()}
    names = sorted({name for found in entries.values() for name in found})
    is_single = len(names) == 1
    references = _Files(reference, VIDEO_SUFFIXES, is_single)
    speech = _Files(audio, AUDIO_SUFFIXES | VIDEO_SUFFIXES, is_single)
    clips, unmatched = [], []
    for name in names:
        found = {system: entries[system].get(name) for system in systems}
        unmatched += [
            Unmatched(name, system, _problem(entry, systems[system]))
            for system, entry in found.items()
            if entry is None or entry.output is None
        ]
        usable = {system: entry for system, entry in found.items() if entry and entry.output}
        if not usable:
            continue
        clip = _clip(name, usable, references, speech)
        if reference is not None and clip.reference is None:
            unmatched.append(Unmatched(name, "reference", f"no video of this name in {reference}"))
        clips.append(clip)
    return clips, unmatched


def _clip(name: str, entries: dict[str, _Entry], references: "_Files", speech: "_Files") -> Clip:
    named_reference = next((entry.reference for entry in entries.values() if entry.reference), None)
    outputs = {system: entry.output for system, entry in entries.items() if entry.output}
    records = {system: entry.record for system, entry in entries.items() if entry.record}
    return Clip(name, outputs, references.get(name) or named_reference, speech.get(name), records)


def _problem(entry: _Entry | None, path: str | Path) -> str:
    if entry is None or entry.problem is None:
        return f"no video of this name in {path}"
    return entry.problem


class _Files:
    """The files below a folder by name, or one file for the only clip."""

    def __init__(self, path: str | Path | None, suffixes: Iterable[str], is_single: bool):
        self._only: Path | None = None
        self._by_name: dict[str, Path] = {}
        if path is None:
            return
        path = Path(path)
        if path.is_dir():
            self._by_name = files_by_name(path, suffixes)
        elif not path.exists():
            raise MediaError(path, "no such file or folder; check the path")
        elif is_single:
            self._only = path
        else:
            self._by_name = {path.stem: path}

    def get(self, name: str) -> Path | None:
        return self._only or self._by_name.get(name)


def _entries(path: Path) -> dict[str, _Entry]:
    if not path.exists():
        raise MediaError(path, "no such file or folder; check the path")
    if path.is_dir():
        return {name: _Entry(file) for name, file in files_by_name(path, VIDEO_SUFFIXES).items()}
    if path.suffix == ".jsonl":
        return dict(_entries_of_batch(path))
    return {path.stem: _Entry(path)}


def files_by_name(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Returns the files below a folder, by their path without suffix; hidden ones are left out.

    Raises:
        MediaError: if there is none.
    """
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for file in (Path(place, name) for name in sorted(names) if name[0] != "."):
            if file.suffix.lower() in suffixes:
                found.setdefault(file.relative_to(folder).with_suffix("").as_posix(), file)
    if not found:
        raise MediaError(folder, f"holds no file that ends in {' '.join(sorted(suffixes))}; name another folder")
    return found


def _entries_of_batch(path: Path) -> Iterable[tuple[str, _Entry]]:
    check_regular(path)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            output, status = Path(record["output"]), record["status"]
            video, _ = Path(record["video"]), Path(record["audio"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MediaError(path, f"line {number} is no record of a batch; name a results.jsonl") from error
        name = output.with_suffix("").as_posix()
        if status == "done":
            yield name, _Entry(path.parent / output, video, record)
        else:
            yield name, _Entry(None, problem=f"failed in the batch: {record.get('error', 'no reason is known')}")
