"""Makes a video as long as its speech: cuts it, or extends it back and forth, in a loop or with its last frame."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice, repeat
from typing import Protocol, TypeVar

LENGTHS = ("video", "audio", "shortest", "longest")
EXTENSIONS = ("pingpong", "loop", "freeze")
# Frames are decoded forwards. To show them backwards, this much of them is held in memory at a time.
REVERSED_BYTES = 128 * 2**20


class Sized(Protocol):
    """A frame, or an object that holds one."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes, in bytes."""
        ...


FrameType = TypeVar("FrameType", bound=Sized)
Read = Callable[[int], Iterator[FrameType]]


def least_and_most(length: str, spoken_frames: int) -> tuple[int, int | None]:
    """Returns the least and the largest number of output frames (None: unlimited).

    Args:
        length: one of `LENGTHS`.
        spoken_frames: how many frames the speech lasts.
    """
    return {
        "video": (0, None),
        "audio": (spoken_frames, spoken_frames),
        "shortest": (0, spoken_frames),
        "longest": (spoken_frames, None),
    }[length]


def read_to_length(
    read: Read[FrameType], least: int = 0, most: int | None = None, extension: str = "pingpong"
) -> Iterator[tuple[int, FrameType]]:
    """Yields each frame's number in the source, from 0, and the frame; extends the video if it is too short.

    Args:
        read: yields the frames of the video from a given number on, as `read_frames` does.
        least: the least number of frames.
        most: the largest number of frames.
        extension: `"pingpong"`, back and forth, with each turning frame shown once; `"loop"`, from the start again;
            `"freeze"`, the last frame.

    Raises:
        MediaError: as `read`.
    """
    shown = 0
    for number, frame in enumerate(islice(read(0), most)):
        yield number, frame
        shown += 1
    if 0 < shown < least:
        extend = {"pingpong": _back_and_forth, "loop": _from_the_start, "freeze": _the_last}[extension]
        yield from islice(extend(read, shown, frame), least - shown)


def read_numbered(read: Read[FrameType], numbers: Sequence[int]) -> Iterator[FrameType]:
    """Yields the frames of a video with these numbers, in this order, which may go backwards and repeat.

    Args:
        read: as for `read_to_length`.
        numbers: of the frames.
    """
    start = 0
    while start < len(numbers):
        step, end = _run(numbers, start)
        yield from _run_of(read, numbers[start], step, end - start)
        start = end


def _run(numbers: Sequence[int], start: int) -> tuple[int, int]:
    """Returns the step, 1, 0 or -1, with which the numbers continue from `start`, and where that ends."""
    step = numbers[start + 1] - numbers[start] if start + 1 < len(numbers) else 1
    step = step if step in (0, -1) else 1
    end = start + 1
    while end < len(numbers) and numbers[end] == numbers[end - 1] + step:
        end += 1
    return step, end


def _run_of(read: Read[FrameType], first: int, step: int, length: int) -> Iterator[FrameType]:
    if step == 1:
        return islice(read(first), length)
    if step == 0:
        return islice(repeat(next(read(first))), length)
    held = max(2, REVERSED_BYTES // next(read(first)).nbytes)
    return (frame for _, frame in islice(_backwards(read, first + 1, held), length))


def _the_last(_read, shown: int, last: FrameType) -> Iterator[tuple[int, FrameType]]:
    return ((shown - 1, last) for _ in count())


def _from_the_start(read: Read[FrameType], shown: int, _last: FrameType) -> Iterator[tuple[int, FrameType]]:
    while True:
        yield from islice(enumerate(read(0)), shown)


def _back_and_forth(read: Read[FrameType], shown: int, last: FrameType) -> Iterator[tuple[int, FrameType]]:
    if shown == 1:
        yield from _the_last(read, shown, last)
    held = max(2, REVERSED_BYTES // last.nbytes)
    while True:
        yield from _backwards(read, shown - 1, held)
        yield from islice(enumerate(read(1), start=1), shown - 1)


def _backwards(read: Read[FrameType], end: int, held: int) -> Iterator[tuple[int, FrameType]]:
    """Yields the frames before number `end`, last one first."""
    for stop in range(end, 0, -held):
        start = max(0, stop - held)
        part = list(islice(enumerate(read(start), start), stop - start))
        while part:
            yield part.pop()
