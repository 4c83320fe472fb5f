"""The folder of a training set while it is built: records of finished videos, and the index."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..batch.folder import STATE_NAME
from ..batch.heartbeat import Heartbeat, names_in
from ..errors import Diff2LipError, MediaError
from ..output_paths import writing
from .clip_files import clip_lengths
from .prepare_options import PrepareOptions
from .set_layout import (
    CLIPS_NAME,
    INDEX_NAME,
    SAMPLES_PER_FRAME,
    SETTINGS_NAME,
    VERSION,
    IndexEntry,
    SetSettings,
    index_to_text,
    speech_path,
    video_path,
)
from .source_videos import InputVideo

# What only the writer needs; `set_layout` has what a reader needs.
OPTIONS_NAME, REPORT_NAME, IMAGES_NAME = "prepare.json", "report.html", "report"
# What records hold.
RECORD_KEYS = {"name": str, "source": str, "stamp": list, "clips": list, "dropped": list}
SHOWN_KEYS = {"start_s": (int, float), "frames": int, "picture": (str, type(None))}
CLIP_KEYS = SHOWN_KEYS | {"name": str, "identity": str, "face_px": (int, float), "sharpness": (int, float)}
DROPPED_KEYS = SHOWN_KEYS | {"has_face": bool, "reason": str, "detail": str}


class SetFolder:
    """A training set on disk.

    The record of a video lists its clips and its dropped segments. It is written after all its clips are in place: a
    video without a record is not done, and clips without a record are left over from a killed process.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.clips, self.images = self.path / CLIPS_NAME, self.path / IMAGES_NAME
        self.state = self.path / STATE_NAME
        self._records, self._unfinished = self.state / "videos", self.state / "unfinished"

    def open(self, options: PrepareOptions, syncnet: str | None) -> None:
        """Creates the folder, or checks that it was made with the same options.

        Args:
            options: of the set.
            syncnet: digest of the SyncNet's weights.

        Raises:
            MediaError: if it is no training set, or cannot be written.
            Diff2LipError: if it was made with different options.
        """
        stored = {"version": VERSION, **options.result_options(), "syncnet": syncnet}
        with writing(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise MediaError(self.path, "is a file; name a folder for the training set")
            if not (self.path / OPTIONS_NAME).exists():
                self._create(options, stored)
        self._check_options(stored)

    def _create(self, options: PrepareOptions, stored: dict) -> None:
        if any(name != SETTINGS_NAME and name[0] != "." for name in names_in(self.path)):
            raise MediaError(self.path, "is neither empty nor a training set; name a new folder")
        self.path.mkdir(parents=True, exist_ok=True)
        self.write(self.path / SETTINGS_NAME, SetSettings(VERSION, options.size_px).to_text())
        self.write(self.path / OPTIONS_NAME, json.dumps(stored, indent=1) + "\n")

    def options(self) -> dict:
        """The options that the set was made with.

        Raises:
            MediaError: if they cannot be read.
        """
        path = self.path / OPTIONS_NAME
        options = _read_json(path)
        if options is None:
            raise MediaError(path, "cannot be read; name another folder for the training set")
        return options

    def _check_options(self, expected: dict) -> None:
        found = self.options()
        for name in expected:
            if found.get(name) != expected[name]:
                difference = f"`{name}` was {found.get(name)}, now it is {expected[name]}"
                difference = "another SyncNet, or none" if name == "syncnet" else difference
                raise Diff2LipError(
                    f"{self.path}: was made with different options: {difference}; name another folder, or delete this"
                )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Checks that no other process works on the folder, and removes what a killed process left unfinished.

        Raises:
            MediaError: if another process works on it.
        """
        with Heartbeat(self.state) as process:
            process.forget_dead()
            others = {name for name in names_in(self.state / "processes") if name.endswith(".json")}
            if others - {f"{process.id}.json"}:
                raise MediaError(self.path, "another process is working on it; wait until it ends")
            with writing(self.path):
                for folder in (self.clips, self.images, self._records):
                    folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._unfinished, ignore_errors=True)
            yield

    def is_done(self, video: InputVideo) -> bool:
        """Whether a video has a record, its files are unchanged, and its clips are whole."""
        record = _read_record(self._record_path(video.name))
        if record is None or (record["source"], record["stamp"]) != (str(video.path), video.stamp()):
            return False
        return all(self._is_whole(clip, record.get("sizes", {})) for clip in record["clips"])

    def _is_whole(self, clip: dict, sizes: dict) -> bool:
        """Whether the files of a clip have the sizes they were made with, or at least the right length."""
        paths = _clip_paths(self.clips, clip["name"])
        if all(path.name in sizes for path in paths):
            return all(path.is_file() and path.stat().st_size == sizes[path.name] for path in paths)
        return clip_lengths(*paths) == (clip["frames"], clip["frames"] * SAMPLES_PER_FRAME)

    @contextmanager
    def work_folder(self, video: InputVideo) -> Iterator[Path]:
        """A temporary folder for a video's files, with the folders `clips` and `report` in it."""
        folder = self._unfinished / video.name
        with writing(self.path):
            shutil.rmtree(folder, ignore_errors=True)
            for name in (CLIPS_NAME, IMAGES_NAME):
                (folder / name).mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, made: Path, record: dict) -> None:
        """Moves a video's finished files to their place, then writes its record.

        Raises:
            MediaError: if they cannot be moved.
        """
        with writing(self.path):
            record = record | {"sizes": {file.name: file.stat().st_size for file in (made / CLIPS_NAME).iterdir()}}
            for name in (CLIPS_NAME, IMAGES_NAME):
                for file in sorted((made / name).iterdir()):
                    file.replace(self.path / name / file.name)
            self.write(self._record_path(record["name"]), json.dumps(record) + "\n")

    def records(self) -> list[dict]:
        """The records of all videos, in order of their names.

        Raises:
            MediaError: if one cannot be read.
        """
        with writing(self.path):
            names = sorted(name for name in names_in(self._records) if name.endswith(".json"))
        records = [_read_record(self._records / name) for name in names]
        for name, record in zip(names, records, strict=True):
            if record is None:
                raise MediaError(self._records / name, "is damaged; delete it and run again")
        return [record for record in records if record is not None]

    def write_index(self, records: list[dict]) -> None:
        """Writes the index of all clips, and removes clips and images that are in no record.

        Raises:
            MediaError: if it cannot be written.
        """
        clips = [clip for record in records for clip in record["clips"]]
        self.write(self.path / INDEX_NAME, index_to_text(map(IndexEntry.from_values, clips)))
        files = {path.name for clip in clips for path in _clip_paths(self.clips, clip["name"])}
        images = {entry["picture"] for record in records for entry in record["clips"] + record["dropped"]}
        with writing(self.path):
            for folder, known in ((self.clips, files), (self.images, images)):
                for name in set(names_in(folder)) - known:
                    (folder / name).unlink()

    def write(self, path: Path, text: str) -> None:
        """Replaces a file in the folder, atomically."""
        part = path.with_name(f".{path.name}.part")
        try:
            with writing(path):
                with part.open("w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _record_path(self, name: str) -> Path:
        return self._records / f"{name}.json"


def _clip_paths(clips: Path, name: str) -> tuple[Path, Path]:
    return video_path(clips, name), speech_path(clips, name)


def _read_json(path: Path) -> dict | None:
    """The JSON object in a file; None if the file is missing or damaged."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read_record(path: Path) -> dict | None:
    """The record of a video; None if the file is missing or damaged."""
    record = _read_json(path)
    if record is None or not _holds(record, RECORD_KEYS):
        return None
    try:
        clips = [IndexEntry.from_values(clip) for clip in record["clips"] if _holds(clip, CLIP_KEYS)]
    except (ValueError, TypeError, OverflowError):
        return None
    is_sound = len(clips) == len(record["clips"]) and all(_holds(entry, DROPPED_KEYS) for entry in record["dropped"])
    return record if is_sound else None


def _holds(value: object, keys: dict) -> bool:
    """Whether a value is an object with these keys, each of its kind."""
    return isinstance(value, dict) and all(key in value and isinstance(value[key], keys[key]) for key in keys)
