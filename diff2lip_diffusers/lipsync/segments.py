"""Segments of a dialogue, as a caller states them: who speaks from when to when, to which recording."""

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..errors import MediaError
from ..media.containers import check_no_pipe
from .options import OPTIONS, SyncOptions

# Options of a job that a segment can choose for itself: how its face is painted.
SEGMENT_OPTIONS = ("num_inference_steps", "eta", "guidance_scale", "guidance_rescale", "seed", "rest")
KEYS = ("start", "end", "audio", "face", *SEGMENT_OPTIONS)
_TIME = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d{1,9})?)")
MAX_SHOWN_CHARS = 80


@dataclass(frozen=True)
class Segment:
    """A stretch of a video in which one person speaks.

    Attributes:
        start_s: when it starts, in seconds.
        end_s: when it ends; None with the recording.
        audio: file with the speech.
        face: whose mouth moves, as the option `face` says it.
        options: the options that it chooses for itself.
        place: where it was stated, for errors.
        file: the file that states it; None if it came from Python.
    """

    start_s: Fraction
    end_s: Fraction | None
    audio: Path
    face: Any = "largest"
    options: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    file: Path | None = None

    @property
    def where(self) -> str:
        """Its file and place."""
        return self.place if self.file is None else f"{self.file}: {self.place}"

    def error(self, reason: str) -> MediaError | ValueError:
        """The error of a segment that cannot be, in one line that names its place."""
        return _error(self.file, self.place, reason)


def read_segments(given: str | Path | Iterable[Mapping[str, Any]]) -> list[Segment]:
    """Reads segments from a file, JSON (a list of objects) or CSV (a header, then one a line), or from mappings.

    The keys are `start` and `end` in seconds or as `h:mm:ss.fff`, `audio`, relative to the file, `face`, and those in
    SEGMENT_OPTIONS. `end` is that of the recording by default, `face` the largest.

    Raises:
        MediaError: if the file cannot be read, or one of its segments makes no sense.
        ValueError: if a mapping makes no sense.
    """
    if not isinstance(given, (str, Path)):
        rows = ((f"`segments[{index}]`", row) for index, row in enumerate(given))
        return [_segment(row, place, None, _checked) for place, row in rows]
    path = Path(given)
    rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path))
    if not rows:
        raise MediaError(path, "has no segment; add at least one")
    return [_segment(row, place, path, _parsed) for place, row in rows]


def _text_of(path: Path) -> str:
    try:
        check_no_pipe(path)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise MediaError(path, "is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise MediaError(path, f"cannot be read: {error.strerror or error}; check its name and rights") from error


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        rows = json.loads(_text_of(path))
    except (ValueError, RecursionError) as error:
        raise MediaError(path, f"is not valid JSON ({error}); or name a .csv file") from error
    if not isinstance(rows, list):
        raise MediaError(path, 'must hold a list of segments, [{"start": ..., "audio": ...}, ...]')
    return ((f"segment {number}", row) for number, row in enumerate(rows, 1))


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        lines = csv.reader(_text_of(path).splitlines(), strict=True, skipinitialspace=True)
        numbered = [(lines.line_num, line) for line in lines if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise MediaError(path, f"is not valid CSV ({error}); check its quotes") from error
    (_, names), *rows = numbered or [(1, [])]
    names = [name.strip() for name in names]
    for number, cells in rows:
        if len(cells) != len(names):
            cure = 'quote a cell with commas, as in "420,310"'
            raise MediaError(path, f"line {number} has {len(cells)} cells, expected {len(names)} as in line 1; {cure}")
        yield f"line {number}", dict(zip(names, cells, strict=True))


def _segment(row: Any, place: str, file: Path | None, read: Callable[[str, Any], Any]) -> Segment:
    """A segment of a row; `read` turns a value into that of an option."""
    try:
        if not isinstance(row, Mapping):
            raise ValueError(f"is {_shortened(row)}, expected start, end, audio and face by name")
        _check_keys(row)
        given = {key: value for key, value in row.items() if not (value is None or value == "")}
        for key in ("start", "audio"):
            if key not in given:
                raise ValueError(f"has no `{key}`")
        start_s, end_s = _seconds("start", given["start"]), given.get("end")
        end_s = None if end_s is None else _seconds("end", end_s)
        if end_s is not None and end_s <= start_s:
            raise ValueError(f"`end` is {float(end_s):g} s, which is not after its `start`, {float(start_s):g} s")
        audio = _checked_path(given["audio"])
        options = {key: read(key, value) for key, value in given.items() if key in SEGMENT_OPTIONS}
        SyncOptions(**options)
        face = read("face", given["face"]) if "face" in given else "largest"
        audio = audio if file is None else file.parent / audio
        return Segment(start_s, end_s, audio, face, options, place, file)
    except ValueError as error:
        raise _error(file, place, str(error)) from error


def _error(file: Path | None, place: str, reason: str) -> MediaError | ValueError:
    return ValueError(f"{place}: {reason}") if file is None else MediaError(file, f"{place}: {reason}")


def _check_keys(row: Mapping[Any, Any]) -> None:
    unknown = next((key for key in row if key not in KEYS), None)
    if unknown is not None:
        raise ValueError(f"{_shortened(unknown)} is unknown, known are {', '.join(KEYS)}")


def _seconds(key: str, value: Any) -> Fraction:
    """A time in seconds, exact to the nanosecond, from a number or a text."""
    if isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) and math.isfinite(value):
        if value >= 0:
            return Fraction(round(value * 10**9), 10**9) if isinstance(value, float) else Fraction(value)
    elif isinstance(value, str) and (found := _TIME.fullmatch(value.strip())):
        hours, minutes, seconds = found.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(seconds)
    raise ValueError(f"`{key}` is {_shortened(value)}, expected seconds, 0 or more, or a time such as 1:02.5")


def _checked_path(value: Any) -> Path:
    if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
        raise ValueError(f"`audio` is {_shortened(value)}, expected a file name")
    return Path(value)


def _checked(name: str, value: Any) -> Any:
    kind = OPTIONS[name].kind
    try:
        return kind.checked(value)
    except ValueError as error:
        raise ValueError(f"`{name}` is {_shortened(value)}, expected {kind.expected}") from error


def _parsed(name: str, value: Any) -> Any:
    """The value of an option from a text of a CSV or a value of JSON."""
    if not isinstance(value, str):
        return _checked(name, value)
    kind = OPTIONS[name].kind
    try:
        return kind.checked(kind.parse(value.strip()))
    except ValueError as error:
        raise ValueError(f"`{name}` is {_shortened(value)}, expected {kind.expected}") from error


def _shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 3]}..."
