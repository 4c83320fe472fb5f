"""The folder of a training set: its files, what became of each video, and the index that is made of that."""

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
from .prepare_options import CLIP_FPS, SAMPLING_RATE, PrepareOptions
from .source_videos import InputVideo

VERSION = 1
SETTINGS_NAME, OPTIONS_NAME, INDEX_NAME, REPORT_NAME = "settings.json", "prepare.json", "index.jsonl", "report.html"
CLIPS_NAME, IMAGES_NAME = "clips", "report"
SUFFIXES = (".mp4", ".wav")
INDEX_KEYS = ("name", "frames", "identity", "source", "start_s", "confidence", "offset_frames")


class SetFolder:
    """Where everything of a training set lies.

    A record tells of one video what was kept and what was dropped. It is written when all clips of the video are in
    place, so what has no record is not done; clips without one are left over from a process that was killed.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.clips, self.images = self.path / CLIPS_NAME, self.path / IMAGES_NAME
        self.state = self.path / STATE_NAME
        self._records, self._unfinished = self.state / "videos", self.state / "unfinished"

    def open(self, options: PrepareOptions, syncnet: str | None) -> None:
        """Makes the folder, or makes sure that it is of the same options.

        Args:
            options: of the set.
            syncnet: what tells the SyncNet's weights from others.

        Raises:
            MediaError: it is something else, or cannot be written.
            Diff2LipError: it was made with other options.
        """
        decisive = {"version": VERSION, **options.result_options(), "syncnet": syncnet}
        with writing(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise MediaError(self.path, "is a file; name a folder for the training set")
            if not (self.path / OPTIONS_NAME).exists():
                self._create(options, decisive)
        self._check_options(decisive)

    def _create(self, options: PrepareOptions, decisive: dict) -> None:
        if any(name != SETTINGS_NAME and name[0] != "." for name in names_in(self.path)):
            raise MediaError(self.path, "is not empty and no training set; name a new folder")
        self.path.mkdir(parents=True, exist_ok=True)
        facts = {"version": VERSION, "size_px": options.size_px, "fps": CLIP_FPS, "sampling_rate": SAMPLING_RATE}
        self.write(self.path / SETTINGS_NAME, json.dumps(facts) + "\n")
        self.write(self.path / OPTIONS_NAME, json.dumps(decisive, indent=1) + "\n")

    def options(self) -> dict:
        """What the set was made with.

        Raises:
            MediaError: if that cannot be read.
        """
        path = self.path / OPTIONS_NAME
        options = _read_json(path)
        if options is None:
            raise MediaError(path, "cannot be read; name another folder for the training set")
        return options

    def _check_options(self, decisive: dict) -> None:
        theirs = self.options()
        for name in decisive:
            if theirs.get(name) != decisive[name]:
                difference = f"`{name}` was {theirs.get(name)}, now it is {decisive[name]}"
                difference = "another SyncNet, or none" if name == "syncnet" else difference
                raise Diff2LipError(
                    f"{self.path}: made with other options: {difference}; name another folder, or delete this one"
                )

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Makes sure that nobody else works here inside the block, and clears away what was left unfinished.

        Raises:
            MediaError: somebody does.
        """
        with Heartbeat(self.state) as process:
            process.forget_dead()
            others = {name for name in names_in(self.state / "processes") if name.endswith(".json")}
            if others - {f"{process.id}.json"}:
                raise MediaError(self.path, "another process is at work on it; wait for it to end")
            with writing(self.path):
                for folder in (self.clips, self.images, self._records):
                    folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._unfinished, ignore_errors=True)
            yield

    def is_done(self, video: InputVideo) -> bool:
        """Whether a video is done and still the same, and its clips are there."""
        record = _read_json(self._record_path(video.name))
        if record is None or (record["source"], record["stamp"]) != (str(video.path), video.stamp()):
            return False
        return all(
            (self.clips / f"{clip['name']}{suffix}").exists() for clip in record["clips"] for suffix in SUFFIXES
        )

    @contextmanager
    def work_folder(self, video: InputVideo) -> Iterator[Path]:
        """A folder for what is being made of a video: `clips` and `report` in it."""
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
        """Moves all that was made of a video to its place, then its record.

        Raises:
            MediaError: if it cannot be moved.
        """
        with writing(self.path):
            for name in (CLIPS_NAME, IMAGES_NAME):
                for file in sorted((made / name).iterdir()):
                    file.replace(self.path / name / file.name)
            self.write(self._record_path(record["name"]), json.dumps(record) + "\n")

    def records(self) -> list[dict]:
        """Those of all videos, in the order of their names.

        Raises:
            MediaError: if one cannot be read.
        """
        with writing(self.path):
            names = sorted(name for name in names_in(self._records) if name.endswith(".json"))
        records = [_read_json(self._records / name) for name in names]
        if None in records:
            raise MediaError(self._records / names[records.index(None)], "is damaged; delete it and run again")
        return records

    def write_index(self, records: list[dict]) -> None:
        """Writes the list of all clips, and removes clips and pictures that belong to no record.

        Raises:
            MediaError: if it cannot be written.
        """
        clips = [clip for record in records for clip in record["clips"]]
        lines = [json.dumps({key: clip[key] for key in INDEX_KEYS}) + "\n" for clip in clips]
        self.write(self.path / INDEX_NAME, "".join(lines))
        files = {f"{clip['name']}{suffix}" for clip in clips for suffix in SUFFIXES}
        pictures = {shown["picture"] for record in records for shown in record["clips"] + record["dropped"]}
        with writing(self.path):
            for folder, known in ((self.clips, files), (self.images, pictures)):
                for name in set(names_in(folder)) - known:
                    (folder / name).unlink()

    def write(self, path: Path, text: str) -> None:
        """Writes a file in the folder, which is there whole or as it was before."""
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


def _read_json(path: Path) -> dict | None:
    """The object in a file; None where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
