"""A face video that several jobs may use: decoded, and its faces found, once."""

from collections.abc import Hashable, Iterable, Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ..boxes import Detection
from ..media.frame import Frame
from ..media.reader import VideoInfo, probe_video, read_frames

Found = TypeVar("Found", bound=tuple)  # ends in a picture's faces


class SourceVideo:
    """A video with a face. What one job decoded and found in it is there for the next, as far as it is kept.

    Not to be used by two threads at a time.

    Args:
        path: a video file, an image file, or a folder of numbered image files.
        keep_bytes: how much memory decoded pictures may take for the next job; a video that takes more is decoded
            again.
    """

    def __init__(self, path: str | Path, keep_bytes: int = 0):
        self.path, self.keep_bytes = path, keep_bytes
        self._kept: dict[Fraction, _KeptFrames] = {}
        self._faces: dict[Hashable, KnownFaces] = {}

    @cached_property
    def info(self) -> VideoInfo:
        """What it holds, as `probe_video` says."""
        return probe_video(self.path)

    def pictures(self, fps: Fraction, start: int = 0) -> Iterator[Frame]:
        """The pictures at a rate, from a number on; as `read_frames`."""
        if not self.keep_bytes:
            return read_frames(self.path, fps, start)
        return self._kept.setdefault(fps, _KeptFrames(self.path, fps, self.keep_bytes)).read(start)

    def known_faces(self, search: Hashable) -> "KnownFaces":
        """What a search, told from others by its settings, has found so far."""
        return self._faces.setdefault(search, KnownFaces())


class KnownFaces:
    """The faces in the first pictures of a video, by number of the picture.

    Attributes:
        faces: those of each picture.
    """

    def __init__(self):
        self.faces: list[list[Detection]] = []
        self._complete = False

    def suffice(self, end: int | None) -> bool:
        """Whether those of the pictures before `end`, or of all, are known."""
        return self._complete or (end is not None and end <= len(self.faces))

    def recorded(self, found: Iterable[Found]) -> Iterator[Found]:
        """What a search over all pictures finds, passed through and remembered."""
        self.faces = []
        for seen in found:
            self.faces.append(seen[-1])
            yield seen
        self._complete = True


class _KeptFrames:
    """The first pictures of a video as far as they were asked for, unless they are too many."""

    def __init__(self, path: str | Path, fps: Fraction, most_bytes: int):
        self.path, self.fps, self.left_bytes = path, fps, most_bytes
        self.pictures: list[Frame] = []
        self.complete = self.too_large = False

    def read(self, start: int) -> Iterator[Frame]:
        number = start
        while number < len(self.pictures):
            yield self.pictures[number]
            number += 1
        if self.complete:
            return
        for picture in read_frames(self.path, self.fps, number):
            self._keep(number, picture)
            yield picture
            number += 1
        self.complete = len(self.pictures) == number

    def _keep(self, number: int, picture: Frame) -> None:
        if self.too_large or number != len(self.pictures):
            return
        self.left_bytes -= picture.nbytes
        if self.left_bytes < 0:
            self.too_large = True
            self.pictures.clear()
        else:
            self.pictures.append(picture)
