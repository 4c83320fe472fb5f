"""Where the mouth goes in each picture of a job: from its options to one box a picture."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..boxes import Detection, FaceBox, voxceleb2_box
from ..errors import FaceNotFoundError
from ..faces.detections_file import DetectionsWriter, read_detections
from ..faces.detectors import FaceDetector, load_face_detector
from ..faces.search import find_faces
from ..faces.smoothing import bridge_gaps, smooth_boxes, smooth_boxes_as_original
from ..faces.tracks import track_face
from ..media.frame import Frame
from ..media.length import read_to_length
from .option_values import MIN_BOX_PX
from .options import SyncOptions
from .source_video import SourceVideo
from .stage_timer import StageTimer

Boxed = Iterator[tuple[int, Frame, FaceBox | None]]
Pictures = Iterable[tuple[Frame, np.ndarray]]  # with their thumbnails


class Seen(NamedTuple):
    """A picture, the small copy in which faces are looked for, and those that are in it, in pixels of the copy."""

    picture: Frame
    thumbnail: np.ndarray
    faces: list[Detection]

    @property
    def nbytes(self) -> int:
        """What it holds of memory."""
        return self.picture.nbytes + self.thumbnail.nbytes


class BoxedFrames:
    """The pictures of a job, each with the box, of whole pixels inside it, that is cropped and pasted.

    Args:
        source: the video.
        fps: frames a second at which it is read.
        least: how many pictures there must be.
        most: how many there may be; None for any number.
        options: of the job.
        device: where a detector of ours runs.
        timer: adds up what decoding and detection take.
    """

    def __init__(
        self,
        source: SourceVideo,
        fps: Fraction,
        least: int,
        most: int | None,
        options: SyncOptions,
        device: torch.device,
        timer: StageTimer,
    ):
        self.source, self.fps, self.least, self.most = source, fps, least, most
        self.options, self.device, self.timer = options, device, timer

    def __iter__(self) -> Boxed:
        """The pictures with their numbers in the source and their boxes; None where no face is.

        Raises:
            MediaError: the video cannot be read, or the file with detections not used or written.
            FaceNotFoundError: in reproduce mode, at a picture without a face.
        """
        options = self.options
        if options.box is not None:
            return ((number, picture, _fit(options.box, picture)) for number, picture in self.pictures())
        if options.voxceleb2_crop:
            return ((number, one, voxceleb2_box(one.width, one.height)) for number, one in self.pictures())
        search = _Search(self)
        return self.timer.each("detect", search.as_original() if options.reproduce else search.of_one_person())

    def pictures(self) -> Iterator[tuple[int, Frame]]:
        """The pictures alone, with their numbers in the source."""
        return self.to_length(self.decoded)

    def decoded(self, start: int = 0) -> Iterator[Frame]:
        """The pictures of the video from a number on."""
        return self.timer.each("decode", self.source.pictures(self.fps, start))

    def to_length(self, read: Callable[[int], Iterator]) -> Iterator[tuple]:
        """What `read` gives from a number on, with these numbers, as much as the job asks for."""
        return read_to_length(read, self.least, self.most, self.options.extend)


class _Search:
    """Looks for faces in thumbnails with square pixels; boxes come back in pixels of the pictures."""

    def __init__(self, job: BoxedFrames):
        self.job, self.options, self.info = job, job.options, job.source.info
        longest = max(self.info.width * self.info.pixel_aspect, self.info.height)
        shrink = 1 if self.options.reproduce else min(Fraction(1), self.options.detection_size / longest)
        aspect = 1 if self.options.reproduce else self.info.pixel_aspect
        self.size = max(1, round(self.info.width * aspect * shrink)), max(1, round(self.info.height * shrink))
        self.scale = self.info.width / self.size[0], self.info.height / self.size[1]
        self.stride = 1 if self.options.reproduce else self.options.detection_stride

    def of_one_person(self) -> Boxed:
        """The boxes of the followed person, steady."""
        frames = (((number, seen.picture), seen.thumbnail, seen.faces) for number, seen in self._seen())
        for (number, picture), box in smooth_boxes(bridge_gaps(track_face(frames, self._choice()))):
            yield number, picture, box and _fit(box.scaled(*self.scale).padded(*self.options.pads), picture)

    def as_original(self) -> Boxed:
        """The boxes that the original takes."""
        boxed = (
            ((number, seen.picture), _fit(_first_face(seen.faces, index).padded(*self.options.pads), seen.picture))
            for index, (number, seen) in enumerate(self._seen())
        )
        return ((*item, box) for item, box in smooth_boxes_as_original(_every_face(boxed)))

    def _choice(self) -> str | int | tuple[float, float]:
        face = self.options.face
        return (face[0] / self.scale[0], face[1] / self.scale[1]) if isinstance(face, tuple) else face

    def _seen(self) -> Iterator[tuple[int, Seen]]:
        known = self.job.source.known_faces(
            (self.job.fps, self.size, self.stride, self.options.detector, self.options.detections)
        )

        def read(start: int) -> Iterator[Seen]:
            pictures = ((picture, picture.thumbnail(*self.size)) for picture in self.job.decoded(start))
            if start == 0 and not known.suffice(self.job.most):
                return known.recorded(self._found(pictures))
            return (Seen(*pair, known.faces[number]) for number, pair in enumerate(pictures, start))

        return self.job.to_length(read)

    def _found(self, pictures: Pictures) -> Iterator[Seen]:
        """All pictures of the video with the faces that are in them."""
        path = self.options.detections
        if path is not None and Path(path).exists():
            return self._read(pictures, path)
        found = starmap(Seen, find_faces(pictures, self._detector(), self.stride))
        return found if path is None else self._kept(found, path)

    def _read(self, pictures: Pictures, path: str | Path) -> Iterator[Seen]:
        kept = read_detections(path, self.info.width, self.info.height, self.job.fps)
        shrink = 1 / self.scale[0], 1 / self.scale[1]
        for number, pair in enumerate(pictures):
            yield Seen(*pair, _scaled(kept[number], shrink))

    def _kept(self, found: Iterator[Seen], path: str | Path) -> Iterator[Seen]:
        """Passes on what was found; before the last picture that the job wants, the file is complete."""
        last = None
        with DetectionsWriter(path, self.info.width, self.info.height, self.job.fps) as writer:
            for seen in islice(found, self.job.most):
                writer.write(_scaled(seen.faces, self.scale))
                if last is not None:
                    yield last
                last = seen
        if last is not None:
            yield last

    def _detector(self) -> FaceDetector:
        detector = self.options.detector
        return load_face_detector(detector, self.job.device) if isinstance(detector, str) else detector


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


def _fit(box: FaceBox, picture: Frame) -> FaceBox | None:
    """The box in whole pixels inside the picture; None if hardly anything of it is left."""
    fitted = box.rounded().clipped(picture.width, picture.height)
    return fitted if min(fitted.width, fitted.height) >= MIN_BOX_PX else None
