"""Files of a training set: names, keys and version, for the code that writes or reads a set."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VERSION = 1
SETTINGS_NAME, INDEX_NAME, CLIPS_NAME = "settings.json", "index.jsonl", "clips"
VIDEO_SUFFIX, SPEECH_SUFFIX = ".mp4", ".wav"
CLIP_FPS, SAMPLING_RATE = 25, 16000
SAMPLES_PER_FRAME = SAMPLING_RATE // CLIP_FPS


@dataclass(frozen=True)
class SetSettings:
    """What is true for all clips of a set: `settings.json`.

    Attributes:
        version: of the layout.
        size_px: height and width of the crops.
        fps: frames per second.
        sampling_rate: of the speech, in Hz.
    """

    version: int
    size_px: int
    fps: float = CLIP_FPS
    sampling_rate: int = SAMPLING_RATE

    def to_text(self) -> str:
        """The file's content."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "SetSettings":
        """Reads the file's content.

        Raises:
            ValueError, KeyError, TypeError: if it is damaged.
        """
        values = json.loads(text)
        version, size_px, fps = values["version"], int(values["size_px"]), values["fps"]
        if not isinstance(fps, (int, float)) or not 1 <= fps <= 1000 or not 1 <= size_px <= 2**15:
            raise ValueError(f"{fps} frames a second of {size_px} pixels cannot be")
        return cls(version, size_px, fps, values.get("sampling_rate", SAMPLING_RATE))


@dataclass(frozen=True)
class IndexEntry:
    """One clip: a line of `index.jsonl`.

    Attributes:
        name: of its files in the folder `clips`, without suffix.
        frames: how many.
        identity: who speaks; clips of one person share it.
        source: the video it was cut from.
        start_s: where in that video, in seconds.
        confidence: LSE-C of the clip as measured by a SyncNet; None if none measured it.
        offset_frames: by how many frames the speech was late and is therefore moved; None as above.
    """

    name: str
    frames: int
    identity: str
    source: str | None = None
    start_s: float | None = None
    confidence: float | None = None
    offset_frames: int | None = None

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> "IndexEntry":
        """Takes an entry's keys from a dictionary that may have more.

        Raises:
            KeyError: if name, frames or identity is missing.
            ValueError, TypeError: if one of them cannot be.
        """
        name, frames, identity = values["name"], int(values["frames"]), values["identity"]
        if not isinstance(name, str) or not name or Path(name).name != name or "\\" in name or "\0" in name:
            raise ValueError(f"{name!r} is no name of a clip")
        if not isinstance(identity, str) or not 0 < frames < 2**31:
            raise ValueError(f"the clip {name} has no identity, or {frames} frames")
        optional = {key: values.get(key) for key in ("source", "start_s", "confidence", "offset_frames")}
        return cls(name, frames, identity, **optional)


def index_to_text(entries: Iterable[IndexEntry]) -> str:
    """The content of `index.jsonl`."""
    return "".join(json.dumps(asdict(entry)) + "\n" for entry in entries)


def index_from_text(text: str) -> list[IndexEntry]:
    """Entries of the content of `index.jsonl`.

    Raises:
        ValueError, KeyError, TypeError: if it is damaged.
    """
    return [IndexEntry.from_values(json.loads(line)) for line in text.splitlines() if line.strip()]


def video_path(clips: Path, name: str) -> Path:
    """The clip's mp4 of face crops in the folder `clips`."""
    return clips / f"{name}{VIDEO_SUFFIX}"


def speech_path(clips: Path, name: str) -> Path:
    """The clip's wav, mono and 16 bit, in the folder `clips`."""
    return clips / f"{name}{SPEECH_SUFFIX}"
