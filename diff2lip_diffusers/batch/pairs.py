"""Pairs of a face video and a speech recording, and the names of their outputs."""

import os
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ..errors import PairListError
from ..output_paths import VIDEO_SUFFIXES as OUTPUT_SUFFIXES
from ..stores.urls import Location, Url, is_url, located
from .pair_options import checked_pair_options, shortened

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts", ".gif")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".aac")
# A file in the output folder.
RESULTS_NAME = "results.jsonl"
# File systems allow 255; the names of hidden files beside the output are longer than the output's own.
MAX_NAME_BYTES = 200
# Includes all kinds of line ends, and lone surrogates, which UTF-8 cannot hold.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LEAVING = re.compile(r"^[\\/]|^[A-Za-z]:|(?:^|[\\/])\.\.(?:[\\/]|$)")


@dataclass(frozen=True)
class Pair:
    """One output to make: a face video with the lips of a speech recording.

    Args:
        video: the video with the face, a path or a URL.
        audio: the speech recording, a path or a URL; None for the video's own audio.
        output: name of the video to write, relative to the output folder, with `/` between folders.
        options: fields of `SyncOptions` for this pair only.
        line: its line in the list, from 1; None if there is no list.
    """

    video: Location
    audio: Location | None
    output: str
    options: Mapping[str, object] = field(default_factory=dict)
    line: int | None = None


def check_pairs(pairs: Iterable[Pair], source: str = "pairs") -> list[Pair]:
    """Checks pairs; returns them with paths and URLs as inputs and normalized output names.

    Args:
        pairs: pairs to check; their inputs may be anywhere.
        source: the name of the list in error messages.

    Raises:
        TypeError: if an item is not a [`Pair`].
        PairListError: if an output name is invalid or given twice, or if options are unknown, not allowed for a
            single pair, out of range or contradict each other.
    """
    collector = PairCollector()
    for index, pair in enumerate(pairs):
        if not isinstance(pair, Pair):
            raise TypeError(f"`pairs[{index}]` is {shortened(pair)}, expected a Pair")
        collector.add(f"pair {index}" if pair.line is None else f"line {pair.line}", partial(_checked, pair))
    return collector.checked(source)


def _checked(pair: Pair) -> Pair:
    if not isinstance(pair.options, Mapping):
        raise ValueError(f"`options` is {shortened(pair.options)}, expected a mapping of names to values")
    options = checked_pair_options(pair.options) if pair.options else {}
    audio = None if pair.audio is None else _as_path("audio", pair.audio)
    return replace(
        pair, video=_as_path("video", pair.video), audio=audio, output=checked_output(pair.output), options=options
    )


def _as_path(key: str, path: object) -> Location:
    if not isinstance(path, (str, os.PathLike, Url)) or not str(path):
        raise ValueError(f"`{key}` is {shortened(path)}, expected a path or a URL")
    return located(path)


class PairCollector:
    """Collects pairs with distinct outputs, and the problems of all others."""

    def __init__(self):
        self._pairs: list[Pair] = []
        self._problems: list[str] = []
        self._places: dict[str, str] = {}

    def add(self, place: str, make: Callable[[], Pair]) -> None:
        """Adds what `make` returns, or the problem that it raises; `place` says where in the list."""
        try:
            pair = make()
            self._reserve(pair.output, place)
            self._pairs.append(pair)
        except ValueError as error:
            self._problems.append(f"{place}: {error}")

    def _reserve(self, output: str, place: str) -> None:
        key = unicodedata.normalize("NFC", output).casefold()
        if key in self._places:
            raise ValueError(f"gives the same output {output} as {self._places[key]}; drop one, or name its `output`")
        self._places[key] = place

    def checked(self, source: str | Path) -> list[Pair]:
        """The collected pairs.

        Raises:
            PairListError: if there was a problem.
        """
        if self._problems:
            raise PairListError(source, self._problems)
        return self._pairs


def stem_of(name: str) -> str:
    """A name without its suffix, if that is one of a video or audio file."""
    stem, suffix = posixpath.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES + AUDIO_SUFFIXES else name


def inside_root(key: str, name: object) -> str:
    """Normalizes a file name; refuses one that leaves the root. It judges the text alone, not the disk."""
    if not isinstance(name, str):
        raise ValueError(f"`{key}` is {shortened(name)}, expected a file name")
    if is_url(name) and key != "output":
        return checked_url(key, name)
    if _CONTROLS.search(name):
        raise ValueError(f"`{key}` {shortened(name)} holds control characters or is not UTF-8; rename the file")
    if _LEAVING.search(name):
        raise ValueError(f"`{key}` {shortened(name)} leaves the root; name it relative to the root, without `..`")
    inside = "/".join(part for part in name.split("/") if part not in ("", "."))
    if not inside:
        raise ValueError(f"`{key}` {shortened(name)} names no file")
    return inside


def checked_url(key: str, text: str) -> str:
    """The URL of an input; refuses one that names a file on this machine, which may lie outside the root."""
    if not isinstance(located(text), Url):
        raise ValueError(f"`{key}` {shortened(text)} leaves the root; name it relative to the root")
    if _CONTROLS.search(text):
        raise ValueError(f"`{key}` {Url(text)!s} holds control characters or is not UTF-8; rename the object")
    return text


def default_output(audio: str | None, video: str) -> str:
    """The output name of a pair that gives none; of a URL, the last part counts. Source: the original's lists."""
    names = (Url(name).name if is_url(name) else name for name in (audio, video) if name is not None)
    stems = "_".join(map(stem_of, names))
    return stems.replace("/", ".").replace("\\", ".") + ".mp4"


def checked_output(name: object) -> str:
    """Normalizes the name of an output; refuses one that cannot be written."""
    output = inside_root("output", name)
    parts = output.split("/")
    if "\\" in output:
        raise ValueError(f"`output` {shortened(output)} has a backslash; use / between folders")
    if parts[0].casefold() == RESULTS_NAME:
        raise ValueError(f"`output` {shortened(output)} is the name of the results file; choose another `output`")
    if not output.lower().endswith(OUTPUT_SUFFIXES):
        raise ValueError(f"`output` {shortened(output)} must end in {', '.join(OUTPUT_SUFFIXES)}")
    if any(part[0] == "." for part in parts):
        raise ValueError(f"`output` {shortened(output)} has a name that starts with a dot; choose another `output`")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise ValueError(
            f"`output` {shortened(output)} is too long, over {MAX_NAME_BYTES} bytes; choose a shorter `output`"
        )
    return output
