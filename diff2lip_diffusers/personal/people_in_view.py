"""Checks that one person is in view, or that the caller said which one is meant."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch

from ..boxes import FaceBox
from ..faces.detections_file import read_detections
from ..faces.detectors import load_face_detector
from ..lipsync.source_video import SourceVideo
from ..prepare.set_layout import CLIP_FPS
from ..prepare.source_videos import InputVideo
from .unusable_videos import UnusableVideosError

# Looked at once a second, in thumbnails of this size.
LOOKS_PER_S, THUMBNAIL_PX = 1, 640
# A second face counts if it is at least so large against the largest one, and in view for so much of the time.
LEAST_SIZE, LEAST_TIME = 0.5, 0.2


def check_one_person(video: InputVideo, detector: str) -> None:
    """Checks that no second person of similar size is in view for long.

    It looks at single frames: it cannot tell that one person leaves and another one comes.

    Args:
        video: the video; known face boxes beside it are used.
        detector: name of a face detector.

    Raises:
        UnusableVideosError: if two people are in view.
        MediaError: if the video cannot be read.
    """
    looks = [_large(faces) for faces in _faces(video, detector)]
    several = [(second, faces) for second, faces in enumerate(looks) if len(faces) > 1]
    if len(several) > LEAST_TIME * sum(1 for faces in looks if faces):
        second, faces = several[0]
        places = " and ".join(f"{(face.x1 + face.x2) / 2:.0f},{(face.y1 + face.y2) / 2:.0f}" for face in faces)
        raise UnusableVideosError(
            f"{video.path}: shows {len(faces)} people, at {second} s at {places}; which one? choose by a point X,Y, or"
            " by a number from 0 on the left (--face)"
        )


def _faces(video: InputVideo, detector: str) -> Iterator[Sequence[FaceBox]]:
    """Yields the faces of one frame a second, in pixels of the video."""
    source = SourceVideo(video.path)
    info = source.info
    if video.boxes.exists():
        known = read_detections(video.boxes, info.width, info.height, CLIP_FPS)
        yield from ([found.box for found in known[number]] for number in range(0, len(known), CLIP_FPS // LOOKS_PER_S))
        return
    shrink = min(1.0, THUMBNAIL_PX / max(info.width * info.pixel_aspect, info.height))
    size = max(1, round(info.width * info.pixel_aspect * shrink)), max(1, round(info.height * shrink))
    detect = load_face_detector(detector, torch.device("cpu"))
    for frame in source.frames(Fraction(LOOKS_PER_S)):
        scale = frame.width / size[0], frame.height / size[1]
        yield [found.box.scaled(*scale) for found in detect([frame.thumbnail(*size)])[0]]


def _large(faces: Sequence[FaceBox]) -> list[FaceBox]:
    """The faces that are not small against the largest one, from left to right."""
    largest = max((face.height for face in faces), default=0)
    return sorted((face for face in faces if face.height >= LEAST_SIZE * largest), key=lambda face: face.x1)
