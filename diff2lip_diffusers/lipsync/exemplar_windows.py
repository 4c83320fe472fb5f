"""Exemplars of a job: taken while the face is tracked, ahead of the frames that they lend detail to.

Frames come in stretches of STRETCH_FRAMES. The exemplars of a stretch are those of a window of a few stretches around
it: as many as a bank can use, of about the same light and pose. Nothing else passes from one stretch to the next, so
that several processes can paint the stretches of a clip.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ..boxes import FaceBox
from ..detail.exemplars import Exemplar, make_exemplar
from ..errors import MediaError
from ..media.reader import probe_video
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .face_boxes import BoxedFrame, BoxedFrames
from .options import SyncOptions
from .plan import JobPlan
from .source_video import SourceVideo
from .stage_timer import StageTimer

STRETCH_FRAMES = 128
# More gain next to nothing.
BANK_EXEMPLARS = 64
# Every so-many-th frame is an exemplar: in a short clip more of them.
SPACINGS = (2, 4, 8)

MakeExemplar = Callable[[int, np.ndarray], Exemplar]


@dataclass(frozen=True)
class Stretch:
    """Tracked frames.

    Attributes:
        numbers: of the frames in the source.
        boxes: of the faces in each, by track; None where one is not seen.
        exemplars: from these frames, by track.
    """

    numbers: list[int]
    boxes: list[tuple[FaceBox | None, ...]]
    exemplars: list[list[Exemplar]]


def lends_detail(source: SourceVideo, options: SyncOptions) -> bool:
    """Whether the frames of a video can lend detail to each other: not images, which may not show one person."""
    return options.takes_detail and not source.info.is_still and not Path(source.path).is_dir()


def exemplar_maker(pipe: Diff2LipPipeline) -> MakeExemplar:
    """Makes exemplars of a frame's number and its face, (h, w, 3) uint8, for the crops of a pipeline."""
    size, fraction = pipe.unet.config.sample_size, pipe.config.painted_fraction  # pyright: ignore[reportAttributeAccessIssue]
    return partial(make_exemplar, small_size=size, painted_fraction=fraction)


def spacing_of(plan: JobPlan) -> int:
    """Every how-many-th frame of a job is an exemplar."""
    frames = plan.expected_frames
    enough = (spacing for spacing in SPACINGS if frames is not None and frames <= spacing * BANK_EXEMPLARS)
    return next(enough, SPACINGS[-1])


def window_of(number: int, spacing: int, count: int | None) -> range:
    """The numbers of the stretches whose exemplars stretch `number` uses.

    Args:
        number: of the stretch, from 0.
        spacing: of the exemplars.
        count: how many stretches there are; None if at least all that the window may need.
    """
    width = max(1, spacing * BANK_EXEMPLARS // STRETCH_FRAMES)
    start = max(0, number - 1 if width > 1 else number)
    if count is not None:
        start = max(0, min(start, count - width))
    return range(start, start + width if count is None else min(start + width, count))


def cut_stretches(
    entries: Generator[BoxedFrame, None, None], spacing: int, make: MakeExemplar | None, timer: StageTimer
) -> Generator[Stretch, None, None]:
    """Yields tracked frames in stretches, without their pixels.

    Args:
        entries: all frames, in order.
        spacing: every so-many-th becomes an exemplar, if its face is seen.
        make: makes the exemplars; None makes none.
        timer: adds up what that takes.
    """
    with closing(entries):
        while chunk := list(_without_pixels(islice(entries, STRETCH_FRAMES), spacing, make, timer)):
            numbers, boxes, exemplars = zip(*chunk, strict=True)
            by_track = [[one for one in track if one is not None] for track in zip(*exemplars, strict=True)]
            yield Stretch(list(numbers), list(boxes), by_track)


def _without_pixels(
    entries: Iterable[BoxedFrame], spacing: int, make: MakeExemplar | None, timer: StageTimer
) -> Iterator[tuple[int, tuple[FaceBox | None, ...], list[Exemplar | None]]]:
    for index, entry in enumerate(entries):
        exemplars: list[Exemplar | None] = [None] * len(entry.boxes)
        if make is not None and index % spacing == 0:
            with timer.stage("crop"):
                exemplars = [box and make(entry.number, entry.frame.rgb(box)) for box in entry.boxes]
        yield entry.number, entry.boxes, exemplars


def together(groups: Iterable[list[Exemplar]]) -> list[Exemplar]:
    """The exemplars of several stretches in one list; of a frame that is shown several times, one."""
    return list({exemplar.number: exemplar for exemplar in chain.from_iterable(groups)}.values())


def together_by_track(stretches: Iterable[Sequence[list[Exemplar]]]) -> list[list[Exemplar]]:
    """The exemplars of several stretches in one list a track."""
    return [together(of_track) for of_track in zip(*stretches, strict=True)]


def with_windows(stretches: Iterator[Stretch], spacing: int) -> Iterator[tuple[Stretch, list[list[Exemplar]]]]:
    """Yields each stretch with the exemplars that it uses, by track; reads a few stretches ahead."""
    held: dict[int, Stretch] = {}
    number, seen, count = 0, 0, None
    while True:
        while count is None and seen < window_of(number, spacing, None).stop:
            stretch = next(stretches, None)
            if stretch is None:
                count = seen
            else:
                held[seen], seen = stretch, seen + 1
        if number == count:
            return
        window = window_of(number, spacing, count)
        held = {index: stretch for index, stretch in held.items() if index >= min(window.start, number)}
        yield held[number], together_by_track(held[index].exemplars for index in window)
        number += 1


def detailed_frames(
    pipe: Diff2LipPipeline,
    boxed: BoxedFrames,
    tracked: Generator[BoxedFrame, None, None],
    plan: JobPlan,
    options: SyncOptions,
) -> Generator[BoxedFrame, None, None]:
    """Yields the frames of a job with the exemplars for their mouths.

    Args:
        pipe: the pipeline that paints.
        boxed: the frames of the job.
        tracked: what it yields. It runs ahead of the frames, which are decoded again.
        plan: of the job.
        options: of the job.

    Raises:
        MediaError: as `boxed` does, or for a video in `detail_from`.
    """
    others = other_exemplars(pipe, options)
    if not lends_detail(boxed.source, options):
        yield from _with_others(tracked, others)
        return
    spacing = spacing_of(plan)
    stretches = cut_stretches(tracked, spacing, exemplar_maker(pipe), boxed.timer)
    frames = boxed.frames()
    for stretch, exemplars in with_windows(stretches, spacing):
        exemplars = [of_track + others for of_track in exemplars]
        for boxes, (number, frame) in zip(stretch.boxes, frames, strict=False):
            yield BoxedFrame(number, frame, boxes, exemplars)


def _with_others(
    tracked: Generator[BoxedFrame, None, None], others: list[Exemplar]
) -> Generator[BoxedFrame, None, None]:
    with closing(tracked):
        while chunk := list(islice(tracked, 1)):
            lent = [list(others) for _ in chunk[0].boxes]
            for entry in chain(chunk, islice(tracked, STRETCH_FRAMES - 1)):
                yield entry._replace(exemplars=lent)


def other_exemplars(pipe: Diff2LipPipeline, options: SyncOptions) -> list[Exemplar]:
    """The exemplars from the videos in `detail_from`, evenly spaced.

    Raises:
        MediaError: if one cannot be read, or shows no face.
    """
    found: list[Exemplar] = []
    most = BANK_EXEMPLARS // max(1, len(options.detail_from))
    for path in options.detail_from:
        exemplars = _spread(_exemplars_of(pipe, path, options), most)
        if not exemplars:
            raise MediaError(path, "shows no face; leave it out of detail_from")
        found += exemplars
    return found


def _exemplars_of(pipe: Diff2LipPipeline, path: str | Path, options: SyncOptions) -> Iterator[Exemplar]:
    source, fps = SourceVideo(path), probe_video(path).fps
    finding = SyncOptions(detector=options.detector, detection_size=options.detection_size, pads=options.pads)
    boxed = BoxedFrames(source, fps, 0, None, finding, pipe._execution_device, StageTimer())
    make = exemplar_maker(pipe)
    with closing(iter(boxed)) as entries:
        for entry in entries:
            if entry.box is not None and entry.number % SPACINGS[0] == 0:
                yield make(entry.number, entry.frame.rgb(entry.box))


def _spread(exemplars: Iterable[Exemplar], most: int) -> list[Exemplar]:
    """At most so many of them, evenly spread, without holding all."""
    held: list[Exemplar] = []
    step = 1
    for index, exemplar in enumerate(exemplars):
        if index % step == 0:
            held.append(exemplar)
        if len(held) > most:
            held, step = held[::2], 2 * step
    return held
