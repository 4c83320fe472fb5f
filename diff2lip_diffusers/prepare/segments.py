"""A video in segments: between two cuts one person with the face in view, or nobody."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..boxes import FaceBox
from ..faces.search import is_cut
from ..faces.smoothing import SAME_FACE_IOU
from ..lipsync.compositing import resize_image
from ..media.frame import Frame
from .sharpness import sharpness

# Longest side of the small pictures in which cuts are seen, and of those in the report.
CUT_PX, PREVIEW_PX = 320, 240
# Every so many faces are looked at for sharpness.
SHARPNESS_STRIDE = 5


@dataclass(frozen=True)
class FaceCrop:
    """The face in one picture.

    Attributes:
        pixels: (S, S, 3) uint8.
        side_px: the shorter side of its box in the picture.
        sharpness: see `sharpness`; None where it was not looked at.
    """

    pixels: np.ndarray
    side_px: float
    sharpness: float | None


@dataclass
class Segment:
    """Consecutive pictures of one kind.

    Attributes:
        start: number of the first one, from 0.
        count: how many there are.
        preview: a small picture from about the middle, (h, w, 3) uint8.
        crops: of the face in each; empty where there is none in view.
    """

    start: int
    count: int = 0
    preview: np.ndarray | None = None
    crops: list[FaceCrop] = field(default_factory=list)

    @property
    def has_face(self) -> bool:
        """Whether a face is in view."""
        return bool(self.crops)

    def add(self, picture: Frame, box: FaceBox | None, size_px: int) -> None:
        """Takes up the next picture."""
        if self.count & (self.count - 1) == 0:  # at 0 and each power of two, the last of which stays
            self.preview = _small(picture, PREVIEW_PX)
        if box is not None:
            pixels = picture.rgb(box)
            looked_at = sharpness(pixels) if self.count % SHARPNESS_STRIDE == 0 else None
            crop = resize_image(pixels, size_px, size_px)
            self.crops.append(FaceCrop(crop, min(box.width, box.height), looked_at))
        self.count += 1

    def part(self, first: int, end: int) -> "Segment":
        """Its pictures from the `first`-th up to the `end`-th, without that one."""
        return Segment(self.start + first, end - first, self.preview, self.crops[first:end])


def read_segments(
    pictures: Iterable[tuple[int, Frame, FaceBox | None]], size_px: int, least: int, most: int, border: int
) -> Iterator[Segment]:
    """The segments of a video, in order. Long ones with a face are cut to `most` pictures at most, so that no rest of
    less than `least` remains; `least + most` crops are held at a time.

    Args:
        pictures: of the video, with their numbers and the box of one person per shot.
        size_px: height and width of the crops.
        least: pictures that make a clip.
        most: that a clip may have, at least twice as many.
        border: number of a picture with which a segment begins in any case: the first one beyond the sound.
    """
    segment, last_box, last_thumbnail = None, None, None
    for number, picture, box in pictures:
        thumbnail = _small(picture, CUT_PX)
        goes_on = number != border and _goes_on(last_box, box)
        if segment is not None and (not goes_on or is_cut(last_thumbnail, thumbnail)):
            yield from _ended(segment, most)
            segment = None
        segment = segment or Segment(number)
        segment.add(picture, box, size_px)
        last_box, last_thumbnail = box, thumbnail
        if segment.has_face and segment.count >= least + most:
            yield segment.part(0, most)
            segment = segment.part(most, segment.count)
    if segment is not None:
        yield from _ended(segment, most)


def _ended(segment: Segment, most: int) -> Iterator[Segment]:
    pieces = 2 if segment.has_face and segment.count > most else 1
    borders = [piece * segment.count // pieces for piece in range(pieces + 1)]
    yield from (segment.part(first, end) for first, end in pairwise(borders))


def _goes_on(last: FaceBox | None, box: FaceBox | None) -> bool:
    """Whether a picture shows what the one before did, as far as boxes tell."""
    if last is None or box is None:
        return last is box
    return last.iou(box) >= SAME_FACE_IOU


def _small(picture: Frame, longest_px: int) -> np.ndarray:
    shrink = min(1.0, longest_px / max(picture.width, picture.height))
    return picture.thumbnail(max(1, round(shrink * picture.width)), max(1, round(shrink * picture.height)))
