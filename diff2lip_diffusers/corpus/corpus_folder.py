"""Files of a corpus: its settings, and the files of each clip."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MediaError

SETTINGS_NAME, VERSION = "corpus.json", 1
MAKE_IT = "make one with: diff2lip make-corpus OUT --clips N"


@dataclass(frozen=True)
class CorpusClip:
    """One clip of a corpus.

    Attributes:
        folder: the corpus.
        name: of its files, without suffix.
        fps: frames per second.
    """

    folder: Path
    name: str
    fps: float

    @property
    def video(self) -> Path:
        """The mp4, with audio."""
        return self.folder / f"{self.name}.mp4"

    @property
    def speech(self) -> Path:
        """The wav, 16 kHz, mono, 16 bit."""
        return self.folder / f"{self.name}.wav"

    @property
    def mouth_table(self) -> Path:
        """The true mouth parameters of every frame, a CSV file."""
        return self.folder / f"{self.name}.csv"

    @property
    def boxes(self) -> Path:
        """The true face boxes, a detections file."""
        return self.folder / f"{self.name}.boxes.jsonl"

    @property
    def description(self) -> Path:
        """Seed, colors, voice, language and text. It is written last, so its presence marks a complete clip."""
        return self.folder / f"{self.name}.json"

    def read_description(self) -> dict[str, Any]:
        """The content of `description`.

        Raises:
            MediaError: if it cannot be read.
        """
        return _read_json(self.description)


def clip_name(index: int) -> str:
    return f"clip_{index:05d}"


def read_settings(folder: str | Path) -> dict[str, Any]:
    """The settings that a corpus was made with.

    Raises:
        MediaError: if the folder is missing or is not a corpus.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MediaError(folder, f"no such corpus folder; {MAKE_IT}")
    if not (folder / SETTINGS_NAME).is_file():
        raise MediaError(folder, f"is not a corpus; {MAKE_IT}")
    settings = _read_json(folder / SETTINGS_NAME)
    if settings.get("version") != VERSION:
        raise MediaError(folder, f"is a corpus of version {settings.get('version')!r}, expected {VERSION}; {MAKE_IT}")
    return settings


def find_corpus_clips(folder: str | Path) -> list[CorpusClip]:
    """The complete clips of a corpus, by number.

    Raises:
        MediaError: if the folder is missing, is not a corpus, or has no complete clip.
    """
    settings = read_settings(folder)
    names = sorted(path.stem for path in Path(folder).glob("clip_*.json"))
    if not names:
        raise MediaError(folder, f"is a corpus without clips; {MAKE_IT}")
    return [CorpusClip(Path(folder), name, settings["fps"]) for name in names]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise MediaError(path, f"cannot be read: {reason}; make the corpus again") from error
