"""A video made as long as its speech: cut, or continued back and forth, from the start, or with its last picture."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice, repeat
from typing import Protocol

LENGTHS = ("video", "audio", "shortest", "longest")
EXTENSIONS = ("pingpong", "loop", "freeze")
# Pictures are decoded forwards; to show them backwards, this much of them is held at a time.
REVERSED_BYTES = 128 * 2**20


class Sized(Protocol):
    """A picture, or something around one."""

    @property
    def nbytes(self) -> int:
        """What it holds of memory."""
        ...


Read = Callable[[int], Iterator[Sized]]


def least_and_most(length: str, spoken_frames: int) -> tuple[int, int | None]:
    """How many frames there must and may be (None: any number), for a speech of that many frames."""
    return {
        "video": (0, None),
        "audio": (spoken_frames, spoken_frames),
        "shortest": (0, spoken_frames),
        "longest": (spoken_frames, None),
    }[length]


def read_to_length(
    read: Read, least: int = 0, most: int | None = None, extension: str = "pingpong"
) -> Iterator[tuple[int, Sized]]:
    """Pictures with their numbers in the source, from 0: those of a video, and more of them where they are too few.

    Args:
        read: gives the pictures of the video from a number on, as `read_frames` does.
        least: how many there must be.
        most: how many there may be.
        extension: `"pingpong"`, back and forth, the picture at the turn only once; `"loop"`, from the start;
            `"freeze"`, the last picture.

    Raises:
        MediaError: as `read`.
    """
    shown, picture = 0, None
    for number, picture in enumerate(islice(read(0), most)):
        yield number, picture
        shown += 1
    more = {"pingpong": _back_and_forth, "loop": _from_the_start, "freeze": _the_last}
    if 0 < shown < least:
        yield from islice(more[extension](read, shown, picture), least - shown)


def read_numbered(read: Read, numbers: Sequence[int]) -> Iterator[Sized]:
    """The pictures of a video of these numbers, in this order: forwards, backwards, and again and again.

    Args:
        read: as for `read_to_length`.
        numbers: of the pictures.
    """
    start = 0
    while start < len(numbers):
        step, end = _run(numbers, start)
        yield from _run_of(read, numbers[start], step, end - start)
        start = end


def _run(numbers: Sequence[int], start: int) -> tuple[int, int]:
    """The step, 1, 0 or -1, by which numbers go on from a place, and where that ends."""
    step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 1
    step = step if step in (0, -1) else 1
    end = start + 1
    while end < len(numbers) and numbers[end] == numbers[end - 1] + step:
        end += 1
    return step, end


def _run_of(read: Read, first: int, step: int, length: int) -> Iterator[Sized]:
    if step == 1:
        return islice(read(first), length)
    if step == 0:
        return islice(repeat(next(read(first))), length)
    held = max(2, REVERSED_BYTES // next(read(first)).nbytes)
    return (picture for _, picture in islice(_backwards(read, first + 1, held), length))


def _the_last(_read, shown: int, last: Sized) -> Iterator[tuple[int, Sized]]:
    return ((shown - 1, last) for _ in count())


def _from_the_start(read: Read, shown: int, _last: Sized) -> Iterator[tuple[int, Sized]]:
    while True:
        yield from islice(enumerate(read(0)), shown)


def _back_and_forth(read: Read, shown: int, last: Sized) -> Iterator[tuple[int, Sized]]:
    if shown == 1:
        yield from _the_last(read, shown, last)
    held = max(2, REVERSED_BYTES // last.nbytes)
    while True:
        yield from _backwards(read, shown - 1, held)
        yield from islice(enumerate(read(1), start=1), shown - 1)


def _backwards(read: Read, end: int, held: int) -> Iterator[tuple[int, Sized]]:
    """The pictures before number `end`, last one first."""
    for stop in range(end, 0, -held):
        start = max(0, stop - held)
        part = list(islice(enumerate(read(start), start), stop - start))
        while part:
            yield part.pop()
