"""Where the mouth goes in each picture of a job: from its options to one box a picture."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from .clip_length import Numbered
from .detections_file import DetectionsWriter, read_detections
from .errors import FaceNotFoundError
from .face_detectors import FaceDetector, load_face_detector
from .face_search import find_faces
from .face_smoothing import bridge_gaps, smooth_boxes, smooth_boxes_as_original
from .face_tracks import track_face
from .faces import Detection, FaceBox, voxceleb2_box
from .media import VideoInfo
from .pictures import Picture
from .stage_timer import StageTimer
from .sync_options import MIN_BOX_PX, SyncOptions

Boxed = Iterator[tuple[Picture, FaceBox | None]]


def boxed_pictures(
    pictures: Numbered,
    info: VideoInfo,
    fps: Fraction,
    options: SyncOptions,
    device: torch.device,
    timer: StageTimer,
) -> Boxed:
    """Each picture with the box, of whole pixels inside it, that is cropped and pasted; None where no face is.

    Args:
        pictures: with their numbers in the source.
        info: of the source.
        fps: frames a second at which it is read.
        options: of the job.
        device: where a detector of ours runs.
        timer: adds up what detection takes.

    Raises:
        MediaError: the file with detections cannot be used or written.
        FaceNotFoundError: in reproduce mode, at a picture without a face.
    """
    if options.box is not None:
        return ((picture, _fit(options.box, picture)) for _, picture in pictures)
    if options.voxceleb2_crop:
        return ((picture, voxceleb2_box(picture.width, picture.height)) for _, picture in pictures)
    search = _Search(info, fps, options, device, timer)
    return timer.each("detect", search.as_original(pictures) if options.reproduce else search.of_one_person(pictures))


class _Search:
    """Looks for faces in thumbnails with square pixels; boxes come back in pixels of the pictures."""

    def __init__(self, info: VideoInfo, fps: Fraction, options: SyncOptions, device: torch.device, timer: StageTimer):
        self.info, self.fps, self.options, self.device, self.timer = info, fps, options, device, timer
        longest = max(info.width * info.pixel_aspect, info.height)
        shrink = 1 if options.reproduce else min(Fraction(1), options.detection_size / longest)
        aspect = 1 if options.reproduce else info.pixel_aspect
        self.size = max(1, round(info.width * aspect * shrink)), max(1, round(info.height * shrink))
        self.scale = info.width / self.size[0], info.height / self.size[1]

    def of_one_person(self, pictures: Numbered) -> Boxed:
        """The boxes of the followed person, steady."""
        tracked = track_face(self._found(pictures), self._choice())
        for picture, box in smooth_boxes(bridge_gaps(tracked)):
            yield picture, box and _fit(box.scaled(*self.scale).padded(*self.options.pads), picture)

    def as_original(self, pictures: Numbered) -> Boxed:
        """The boxes that the original takes."""
        first = (
            (picture, _first_face(found, index)) for index, (picture, _, found) in enumerate(self._found(pictures))
        )
        padded = ((picture, _fit(box.padded(*self.options.pads), picture)) for picture, box in first)
        return smooth_boxes_as_original(_every_face(padded))

    def _choice(self) -> str | int | tuple[float, float]:
        face = self.options.face
        return (face[0] / self.scale[0], face[1] / self.scale[1]) if isinstance(face, tuple) else face

    def _found(self, pictures: Numbered) -> Iterator[tuple[Picture, np.ndarray, Sequence[Detection]]]:
        """Pictures, their thumbnails, and the faces in thumbnail pixels."""
        seen = (((number, picture), picture.thumbnail(*self.size)) for number, picture in pictures)
        path = self.options.detections
        if path is not None and Path(path).exists():
            found = self._read(seen, path)
        else:
            stride = 1 if self.options.reproduce else self.options.detection_stride
            found = find_faces(seen, self._detector(), stride)
            found = found if path is None else self._kept(found, path)
        return ((picture, thumbnail, faces) for (_, picture), thumbnail, faces in found)

    def _read(self, seen, path: str | Path):
        kept = read_detections(path, self.info.width, self.info.height, self.fps)
        shrink = 1 / self.scale[0], 1 / self.scale[1]
        for (number, picture), thumbnail in seen:
            yield (number, picture), thumbnail, _scaled(kept[number], shrink)

    def _kept(self, found, path: str | Path):
        written = 0
        with DetectionsWriter(path, self.info.width, self.info.height, self.fps) as writer:
            for (number, picture), thumbnail, faces in found:
                if number == written:  # a video that is continued shows pictures again
                    writer.write(_scaled(faces, self.scale))
                    written += 1
                yield (number, picture), thumbnail, faces

    def _detector(self) -> FaceDetector:
        detector = self.options.detector
        return load_face_detector(detector, self.device) if isinstance(detector, str) else detector


def _scaled(faces: Sequence[Detection], scale: tuple[float, float]) -> list[Detection]:
    return [Detection(face.box.scaled(*scale), face.score) for face in faces]


def _first_face(faces: Sequence[Detection], frame_index: int) -> FaceBox:
    if not faces:
        raise FaceNotFoundError(frame_index)
    return faces[0].box


def _every_face(boxed: Boxed) -> Boxed:
    for index, (picture, box) in enumerate(boxed):
        if box is None:
            raise FaceNotFoundError(index)
        yield picture, box


def _fit(box: FaceBox, picture: Picture) -> FaceBox | None:
    """The box in whole pixels inside the picture; None if hardly anything of it is left."""
    fitted = box.rounded().clipped(picture.width, picture.height)
    return fitted if min(fitted.width, fitted.height) >= MIN_BOX_PX else None
