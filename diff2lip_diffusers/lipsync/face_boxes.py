"""Face boxes of a job: finds, tracks and smooths the face, and yields one box per frame."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, starmap, takewhile
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from ..boxes import Detection, FaceBox, voxceleb2_box
from ..detail.exemplars import Exemplar
from ..errors import FaceNotFoundError
from ..faces.detections_file import DetectionsWriter, read_detections
from ..faces.detectors import FaceDetector, load_face_detector
from ..faces.search import DEFAULT_BATCH_SIZE, find_faces
from ..faces.smoothing import bridge_gaps, smooth_boxes, smooth_boxes_as_original
from ..faces.tracks import track_face
from ..media.containers import HEAVY_BYTES, LARGE_PIXELS
from ..media.frame import Frame
from ..media.length import read_to_length
from ..media.reader import VideoInfo
from .malloc_trim import return_large_buffers, trim_heap
from .option_values import MIN_BOX_PX
from .options import SyncOptions
from .source_video import SourceVideo
from .stage_timer import StageTimer

_END = object()

FrameAndThumbnail = tuple[Frame | None, np.ndarray]


class BoxedFrame(NamedTuple):
    """A frame and the faces in it that are followed, by track.

    Attributes:
        number: of the frame in the source.
        frame: the frame.
        boxes: the faces, in whole pixels inside the frame; None where one is not seen.
        exemplars: faces that lend detail to each painted one; frames of one stretch share the lists.
    """

    number: int
    frame: Frame
    boxes: tuple[FaceBox | None, ...]
    exemplars: Sequence[Sequence[Exemplar]] = ()

    @property
    def box(self) -> FaceBox | None:
        """The face of the first track, the only one but in dialogues."""
        return self.boxes[0]


class SearchedFrame(NamedTuple):
    """A frame, the thumbnail that the detector sees, and the faces in it, in pixels of the thumbnail.

    The frame is None where only its faces are asked for.
    """

    frame: Frame | None
    thumbnail: np.ndarray
    faces: list[Detection]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it holds."""
        return self.thumbnail.nbytes + (0 if self.frame is None else self.frame.nbytes)


class BoxedFrames:
    """The frames of a job, each with the box that is cropped and pasted.

    Args:
        source: the video.
        fps: frames a second at which it is read.
        min_frames: the fewest frames that the job may have.
        max_frames: the most frames that it may have; None for any number.
        options: of the job.
        device: where the package's own detectors run.
        timer: adds up what decoding and detection take.
        faces: which faces to follow, each as `face` of the options; by default that one.
        is_stopped: asked while frames are searched of which none is yielded; ends the search early.
    """

    def __init__(
        self,
        source: SourceVideo,
        fps: Fraction,
        min_frames: int,
        max_frames: int | None,
        options: SyncOptions,
        device: torch.device,
        timer: StageTimer,
        faces: Sequence[Any] = (),
        is_stopped: Callable[[], bool] = lambda: False,
    ):
        self.source, self.fps, self.min_frames, self.max_frames = source, fps, min_frames, max_frames
        self.options, self.device, self.timer = options, device, timer
        self.faces, self.is_stopped = faces or (options.face,), is_stopped

    def __iter__(self) -> Generator[BoxedFrame, None, None]:
        """Yields the frames with their boxes.

        Raises:
            MediaError: the video cannot be read, or the file with detections cannot be used or written.
            FaceNotFoundError: in reproduce mode, at a frame without a face.
        """
        options = self.options
        if self.source.info.frame_bytes > HEAVY_BYTES:
            return_large_buffers()
        if isinstance(options.box, FaceBox):
            box = options.box
            return (BoxedFrame(number, frame, (_fit(box, frame),)) for number, frame in self.frames())
        if options.voxceleb2_crop:
            return (
                BoxedFrame(number, frame, (voxceleb2_box(frame.width, frame.height),))
                for number, frame in self.frames()
            )
        search = _Search(self)
        return self.timer.each("detect", search.as_original() if options.reproduce else search.people())

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Yields the frames alone, with their numbers in the source."""
        return self.to_length(self.decoded)

    def decoded(self, start: int = 0) -> Iterator[Frame]:
        """Yields the frames of the video from a number on."""
        return self.timer.each("decode", self.source.frames(self.fps, start))

    def to_length(self, read: Callable[[int], Iterator[Any]]) -> Iterator[tuple[int, Any]]:
        """Yields what `read` yields from a number on, with these numbers, as much as the job asks for."""
        return read_to_length(read, self.min_frames, self.max_frames, self.options.extend)


class _Search:
    """A search for faces in thumbnails with square pixels; its boxes are in pixels of the frames."""

    def __init__(self, job: BoxedFrames):
        self.job, self.options, self.info = job, job.options, job.source.info
        longest = max(self.info.width * self.info.pixel_aspect, self.info.height)
        shrink = 1 if self.options.reproduce else min(Fraction(1), self.options.detection_size / longest)
        aspect = 1 if self.options.reproduce else self.info.pixel_aspect
        self.size = max(1, round(self.info.width * aspect * shrink)), max(1, round(self.info.height * shrink))
        self.scale = self.info.width / self.size[0], self.info.height / self.size[1]
        self.stride = 1 if self.options.reproduce else self.options.detection_stride

    def people(self) -> Iterator[BoxedFrame]:
        """Yields the smoothed boxes of the tracked people.

        A box depends on later frames. Heavy frames do not wait for it: they are decoded again once all is searched.
        """
        if self.info.frame_bytes <= HEAVY_BYTES:
            for number, frame, boxes in self._tracked(self._searched()):
                yield BoxedFrame(number, cast(Frame, frame), boxes)
            return
        found = [boxes for _, _, boxes in self._until_stopped(self._tracked(self._searched(with_frames=False)))]
        if self.job.is_stopped():
            return
        trim_heap()
        for (number, frame), boxes in zip(self.job.frames(), found, strict=False):
            yield BoxedFrame(number, frame, boxes)

    def _until_stopped(self, items: Iterator[Any]) -> Iterator[Any]:
        return takewhile(lambda _: not self.job.is_stopped(), items)

    def _tracked(
        self, searched: Iterator[tuple[int, SearchedFrame]]
    ) -> Iterator[tuple[int, Frame | None, tuple[FaceBox | None, ...]]]:
        frames = (((number, found.frame), found.thumbnail, found.faces) for number, found in searched)
        choices = [self._in_thumbnail(face) for face in self.job.faces]
        tracks = [
            smooth_boxes(bridge_gaps(track_face(own, choice)))
            for own, choice in zip(_copies(frames, len(choices)), choices, strict=True)
        ]
        for of_frame in zip(*tracks, strict=True):
            number, frame = of_frame[0][0]
            yield number, frame, tuple(box and self._fitted(box) for _, box in of_frame)

    def _fitted(self, box: FaceBox) -> FaceBox | None:
        return _fit(box.scaled(*self.scale).padded(*self.options.pads), self.info)

    def as_original(self) -> Iterator[BoxedFrame]:
        """Yields the boxes that the original takes."""
        boxed = (
            ((number, found.frame), _fit(_first_face(found.faces, index).padded(*self.options.pads), self.info))
            for index, (number, found) in enumerate(self._searched())
        )
        smoothed = smooth_boxes_as_original(_every_face(boxed))
        return (BoxedFrame(number, frame, (box,)) for (number, frame), box in smoothed)

    def _in_thumbnail(self, face: Any) -> Any:
        return (face[0] / self.scale[0], face[1] / self.scale[1]) if isinstance(face, tuple) else face

    def _searched(self, with_frames: bool = True) -> Iterator[tuple[int, SearchedFrame]]:
        known = self.job.source.known_faces(
            (self.job.fps, self.size, self.stride, self.options.detector, self.options.detections)
        )

        def read(start: int) -> Iterator[SearchedFrame]:
            decoded = self.job.decoded(start)
            frames = ((frame if with_frames else None, frame.thumbnail(*self.size)) for frame in decoded)
            if start == 0 and not known.covers(self.job.max_frames):
                return known.record(self._found(frames))
            return (SearchedFrame(*pair, known.faces[number]) for number, pair in enumerate(frames, start))

        return self.job.to_length(read)

    def _found(self, frames: Iterable[FrameAndThumbnail]) -> Iterator[SearchedFrame]:
        """Yields all frames of the video with the faces in them."""
        path = self.options.detections
        if path is not None and Path(path).exists():
            return self._from_file(frames, path)
        # Frames are held until a batch of them is searched.
        batch_size = 1 if self.info.width * self.info.height > LARGE_PIXELS else DEFAULT_BATCH_SIZE
        found = starmap(SearchedFrame, find_faces(frames, self._detector(), self.stride, batch_size))
        return found if path is None else self._to_file(found, path)

    def _from_file(self, frames: Iterable[FrameAndThumbnail], path: str | Path) -> Iterator[SearchedFrame]:
        faces = read_detections(path, self.info.width, self.info.height, self.job.fps)
        shrink = 1 / self.scale[0], 1 / self.scale[1]
        for number, pair in enumerate(frames):
            yield SearchedFrame(*pair, _scaled(faces[number], shrink))

    def _to_file(self, found: Iterator[SearchedFrame], path: str | Path) -> Iterator[SearchedFrame]:
        """Yields what was found; the file is complete before the last frame of the job is yielded."""
        last = None
        with DetectionsWriter(path, self.info.width, self.info.height, self.job.fps) as writer:
            for frame in islice(found, self.job.max_frames):
                writer.write(_scaled(frame.faces, self.scale))
                if last is not None:
                    yield last
                last = frame
        if last is not None:
            yield last

    def _detector(self) -> FaceDetector:
        detector = self.options.detector
        return load_face_detector(detector, self.job.device) if isinstance(detector, str) else detector


def _copies(items: Iterator[Any], count: int) -> list[Iterator[Any]]:
    """Several iterators over the same items. Unlike `itertools.tee` they forget at once what all have taken."""
    waiting = [deque() for _ in range(count)]

    def copy(own: deque) -> Iterator[Any]:
        while True:
            if not own:
                item = next(items, _END)
                for each in waiting:
                    each.append(item)
            if own[0] is _END:
                return
            yield own.popleft()

    return [copy(own) for own in waiting]


def _scaled(faces: Sequence[Detection], scale: tuple[float, float]) -> list[Detection]:
    return [Detection(face.box.scaled(*scale), face.score) for face in faces]


def _first_face(faces: Sequence[Detection], frame_index: int) -> FaceBox:
    if not faces:
        raise FaceNotFoundError(frame_index)
    return faces[0].box


def _every_face(boxed: Iterator[tuple[Any, FaceBox | None]]) -> Iterator[tuple[Any, FaceBox]]:
    for index, (item, box) in enumerate(boxed):
        if box is None:
            raise FaceNotFoundError(index)
        yield item, box


def _fit(box: FaceBox, frame: Frame | VideoInfo) -> FaceBox | None:
    """The box in whole pixels inside the frame; None if hardly anything of it is left."""
    fitted = box.rounded().clipped(frame.width, frame.height)
    return fitted if min(fitted.width, fitted.height) >= MIN_BOX_PX else None
