"""Pairs of a face video and a speech, and the names of what is made of them."""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..errors import PairListError
from ..output_paths import VIDEO_SUFFIXES
from .pair_options import checked_pair_options, shortened

PICTURE_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts", ".gif")
SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac")
# Lies in the folder of the outputs.
RESULTS_NAME = "results.jsonl"
# File systems take 255, of which hidden files beside the output and suffixes need some.
MAX_NAME_BYTES = 200
# Line ends of any kind count, and the halves of a character that no UTF-8 holds.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LEAVING = re.compile(r"^[\\/]|^[A-Za-z]:|(?:^|[\\/])\.\.(?:[\\/]|$)")


@dataclass(frozen=True)
class Pair:
    """One output to make: the face in a video says what is said in a recording.

    Args:
        video: the video with the face.
        audio: the speech; None for the video's own sound.
        output: name of the video to write, relative to the folder of all outputs, with `/` between folders.
        options: fields of `SyncOptions` for this pair only.
        line: where its list names it, from 1; None where there is no list.
    """

    video: Path
    audio: Path | None
    output: str
    options: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None


def check_pairs(pairs: Iterable[Pair], source: str = "pairs") -> list[Pair]:
    """The same pairs with `Path`s and outputs without detours, if all of them can be made.

    Args:
        pairs: their inputs may lie anywhere.
        source: what an error calls them.

    Raises:
        TypeError: for anything but a [`Pair`].
        PairListError: bad names of outputs, the same output twice, options that do not exist, cannot be chosen for a
            single pair, are out of range or contradict each other.
    """
    found = FoundPairs()
    for index, pair in enumerate(pairs):
        if not isinstance(pair, Pair):
            raise TypeError(f"`pairs[{index}]` is {shortened(pair)}, expected a Pair")
        found.add(f"pair {index}" if pair.line is None else f"line {pair.line}", partial(_checked, pair))
    return found.checked(source)


def _checked(pair: Pair) -> Pair:
    if not isinstance(pair.options, Mapping):
        raise ValueError(f"`options` is {shortened(pair.options)}, expected a mapping of names to values")
    options = checked_pair_options(pair.options) if pair.options else {}
    audio = None if pair.audio is None else _as_path("audio", pair.audio)
    return replace(
        pair, video=_as_path("video", pair.video), audio=audio, output=checked_output(pair.output), options=options
    )


def _as_path(key: str, path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise ValueError(f"`{key}` is {shortened(path)}, expected a path")
    return Path(path)


class FoundPairs:
    """Pairs with an output of their own, and what is wrong with the others."""

    def __init__(self):
        self._pairs: list[Pair] = []
        self._problems: list[str] = []
        self._places: dict[str, str] = {}

    def add(self, place: str, make: Callable[[], Pair]) -> None:
        try:
            pair = make()
            self._claim(pair.output, place)
            self._pairs.append(pair)
        except ValueError as error:
            self._problems.append(f"{place}: {error}")

    def _claim(self, output: str, place: str) -> None:
        key = output.casefold()
        if key in self._places:
            raise ValueError(f"gives the same output {output} as {self._places[key]}; drop one, or name its `output`")
        self._places[key] = place

    def checked(self, source: str | Path) -> list[Pair]:
        if self._problems:
            raise PairListError(source, self._problems)
        return self._pairs


def stem_of(name: str) -> str:
    """A name without the suffix of a video or a sound."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in PICTURE_SUFFIXES + SOUND_SUFFIXES else name


def inside_root(key: str, name: object) -> str:
    """A name without detours, if it is one of a file inside the root, by its letters alone."""
    if not isinstance(name, str):
        raise ValueError(f"`{key}` is {shortened(name)}, expected a file name")
    if _CONTROLS.search(name):
        raise ValueError(f"`{key}` {shortened(name)} holds control characters or is no UTF-8; rename the file")
    if _LEAVING.search(name):
        raise ValueError(f"`{key}` {shortened(name)} leaves the root; name it relative to the root, without `..`")
    inside = "/".join(part for part in name.split("/") if part not in ("", "."))
    if not inside:
        raise ValueError(f"`{key}` {shortened(name)} names no file")
    return inside


def default_output(audio: str | None, video: str) -> str:
    """The output's name where none is given. Source: SPEC "Batches"."""
    stems = "_".join(stem_of(name) for name in (audio, video) if name is not None)
    return stems.replace("/", ".").replace("\\", ".") + ".mp4"


def checked_output(name: object) -> str:
    output = inside_root("output", name)
    parts = output.split("/")
    if "\\" in output:
        raise ValueError(f"`output` {shortened(output)} has a backslash; put / between folders")
    if parts[0].casefold() == RESULTS_NAME:
        raise ValueError(f"`output` {shortened(output)} is where the results are listed; name another `output`")
    if not output.lower().endswith(VIDEO_SUFFIXES):
        raise ValueError(f"`output` {shortened(output)} must end in {', '.join(VIDEO_SUFFIXES)}")
    if any(part[0] == "." for part in parts):
        raise ValueError(f"`output` {shortened(output)} starts with a dot, or a folder in it; name another `output`")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise ValueError(f"`output` {shortened(output)} is too long, over {MAX_NAME_BYTES} bytes; give it an `output`")
    return output
