"""A video made as long as its speech: cut, or continued back and forth, from the start, or with its last picture."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, islice
from pathlib import Path

from .media import read_pictures
from .pictures import Picture

LENGTHS = ("video", "audio", "shortest", "longest")
EXTENSIONS = ("pingpong", "loop", "freeze")
# Pictures are decoded forwards; to show them backwards, this much of them is held at a time.
REVERSED_BYTES = 128 * 2**20

Numbered = Iterator[tuple[int, Picture]]


def least_and_most(length: str, spoken_frames: int) -> tuple[int, int | None]:
    """How many frames there must and may be (None: any number), for a speech of that many frames."""
    return {
        "video": (0, None),
        "audio": (spoken_frames, spoken_frames),
        "shortest": (0, spoken_frames),
        "longest": (spoken_frames, None),
    }[length]


def read_to_length(
    path: str | Path, fps: Fraction, least: int = 0, most: int | None = None, extension: str = "pingpong"
) -> Numbered:
    """Pictures with their numbers in the source, from 0: those of a video, and more of them where they are too few.

    Args:
        path: as for `read_pictures`.
        fps: frames a second.
        least: how many there must be.
        most: how many there may be.
        extension: `"pingpong"`, back and forth, the picture at the turn only once; `"loop"`, from the start;
            `"freeze"`, the last picture.

    Raises:
        MediaError: as `read_pictures`.
    """
    shown, picture = 0, None
    for number, picture in enumerate(islice(read_pictures(path, fps), most)):
        yield number, picture
        shown += 1
    more = {"pingpong": _back_and_forth, "loop": _from_the_start, "freeze": _the_last}
    if 0 < shown < least:
        yield from islice(more[extension](path, fps, shown, picture), least - shown)


def _the_last(_path, _fps, shown: int, last: Picture) -> Numbered:
    return ((shown - 1, last) for _ in count())


def _from_the_start(path, fps, shown: int, _last: Picture) -> Numbered:
    while True:
        yield from islice(enumerate(read_pictures(path, fps)), shown)


def _back_and_forth(path, fps, shown: int, last: Picture) -> Numbered:
    if shown == 1:
        yield from _the_last(path, fps, shown, last)
    size = sum(plane.nbytes for plane in last.planes)
    held = max(2, REVERSED_BYTES // size)
    while True:
        yield from _backwards(path, fps, shown - 1, held)
        yield from islice(enumerate(read_pictures(path, fps, start=1), start=1), shown - 1)


def _backwards(path, fps, end: int, held: int) -> Numbered:
    """The pictures before number `end`, last one first."""
    for stop in range(end, 0, -held):
        start = max(0, stop - held)
        part = list(islice(enumerate(read_pictures(path, fps, start), start), stop - start))
        while part:
            yield part.pop()
