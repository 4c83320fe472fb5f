"""A face video that several jobs may use: frames and found faces are cached."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, TypeVar

from ..boxes import Detection
from ..media.frame import Frame
from ..media.reader import VideoInfo, probe_video, read_frames


class HasFaces(Protocol):
    """A searched frame."""

    @property
    def faces(self) -> list[Detection]:
        """The faces in it."""
        ...


Searched = TypeVar("Searched", bound=HasFaces)


class SourceVideo:
    """A face video. What one job decoded and found in it is reused by the next one, as far as it is cached.

    Not thread-safe.

    Args:
        path: a video file, an image file, or a folder of numbered image files.
        cache_bytes: how much memory decoded frames may take for the next job; a larger video is decoded again.
        max_pixels: most pixels of a frame, as `probe_video` takes it.
        hwaccel: hardware decoder, as `read_frames` takes it.
    """

    def __init__(
        self, path: str | Path, cache_bytes: int = 0, max_pixels: int | None = None, hwaccel: str | None = None
    ):
        self.path, self.cache_bytes, self.max_pixels, self.hwaccel = path, cache_bytes, max_pixels, hwaccel
        self._caches: dict[Fraction, _FrameCache] = {}
        self._faces: dict[Hashable, KnownFaces] = {}

    @cached_property
    def info(self) -> VideoInfo:
        """Properties of the video, from `probe_video`."""
        return probe_video(self.path, self.max_pixels)

    def frames(self, fps: Fraction, start: int = 0) -> Iterator[Frame]:
        """Yields the frames at a rate, from number `start` on, as `read_frames` does."""
        if not self.cache_bytes:
            return self._decoded(fps, start)
        cache = self._caches.setdefault(fps, _FrameCache(partial(self._decoded, fps), self.cache_bytes))
        return cache.read(start)

    def _decoded(self, fps: Fraction, start: int) -> Iterator[Frame]:
        return read_frames(self.path, fps, start, self.max_pixels, self.hwaccel)

    def known_faces(self, search: Hashable) -> "KnownFaces":
        """The faces found so far by a search with certain settings."""
        return self._faces.setdefault(search, KnownFaces())


class KnownFaces:
    """The faces in the first frames of a video.

    Attributes:
        faces: those in each frame, by its number.
    """

    def __init__(self):
        self.faces: list[list[Detection]] = []
        self._complete = False

    def covers(self, end: int | None) -> bool:
        """Whether the faces in all frames before number `end` are known; None for all frames of the video."""
        return self._complete or (end is not None and end <= len(self.faces))

    def record(self, found: Iterable[Searched]) -> Iterator[Searched]:
        """Yields the results of a search from the first frame on, and remembers their faces."""
        self.faces = []
        for frame in found:
            self.faces.append(frame.faces)
            yield frame
        self._complete = True


class _FrameCache:
    """The first frames of a video, as far as they were read; empty if they take too much memory."""

    def __init__(self, decoded: Callable[[int], Iterator[Frame]], max_bytes: int):
        self.decoded, self.left_bytes = decoded, max_bytes
        self.frames: list[Frame] = []
        self.complete = self.too_large = False

    def read(self, start: int) -> Iterator[Frame]:
        number = start
        while number < len(self.frames):
            yield self.frames[number]
            number += 1
        if self.complete:
            return
        for frame in self.decoded(number):
            self._keep(number, frame)
            yield frame
            number += 1
        self.complete = len(self.frames) == number

    def _keep(self, number: int, frame: Frame) -> None:
        if self.too_large or number != len(self.frames):
            return
        self.left_bytes -= frame.nbytes
        if self.left_bytes < 0:
            self.too_large = True
            self.frames.clear()
        else:
            self.frames.append(frame)
