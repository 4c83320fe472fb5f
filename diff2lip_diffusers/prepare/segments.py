"""Splits a video into segments: between two cuts, one person whose face is in view, or nobody."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..boxes import FaceBox
from ..faces.search import is_cut
from ..faces.smoothing import SAME_FACE_IOU
from ..lipsync.compositing import resize_image
from ..lipsync.face_boxes import BoxedFrame
from ..media.frame import Frame
from .sharpness import sharpness

# Longest side of the thumbnails for finding cuts, and of the images in the report.
CUT_PX, PREVIEW_PX = 320, 240
# Sharpness is measured on every Nth face.
SHARPNESS_STRIDE = 5


@dataclass(frozen=True)
class FaceCrop:
    """The face in one frame.

    Attributes:
        pixels: (S, S, 3) uint8.
        side_px: the shorter side of its box in the frame.
        sharpness: see `sharpness`; None where it was not measured.
    """

    pixels: np.ndarray
    side_px: float
    sharpness: float | None


@dataclass
class Segment:
    """Consecutive frames that show the same person, or nobody.

    Attributes:
        start: number of the first frame, from 0.
        count: number of frames.
        preview: a thumbnail from about the middle, (h, w, 3) uint8.
        crops: the face in each frame; empty if none is in view.
    """

    start: int
    count: int = 0
    preview: np.ndarray | None = None
    crops: list[FaceCrop] = field(default_factory=list)

    @property
    def has_face(self) -> bool:
        """Whether a face is in view."""
        return bool(self.crops)

    def add(self, frame: Frame, box: FaceBox | None, size_px: int) -> None:
        """Appends the next frame."""
        if self.count & (self.count - 1) == 0:  # at 0 and at each power of two, so the last one stays
            self.preview = _small(frame, PREVIEW_PX)
        if box is not None:
            pixels = frame.rgb(box)
            measured = sharpness(pixels) if self.count % SHARPNESS_STRIDE == 0 else None
            crop = resize_image(pixels, size_px, size_px)
            self.crops.append(FaceCrop(crop, min(box.width, box.height), measured))
        self.count += 1

    def part(self, first: int, end: int) -> "Segment":
        """Its frames from `first` up to, but not including, `end`."""
        return Segment(self.start + first, end - first, self.preview, self.crops[first:end])


def read_segments(
    frames: Iterable[BoxedFrame], size_px: int, min_frames: int, max_frames: int, boundary: int
) -> Iterator[Segment]:
    """Yields the segments of a video, in order.

    Long segments with a face are split into pieces of `min_frames` to `max_frames` frames. At most
    `min_frames + max_frames` crops are in memory.

    Args:
        frames: of the video, with the box of one person per shot.
        size_px: height and width of the crops.
        min_frames: minimum length of a clip.
        max_frames: maximum length of a clip, at least twice `min_frames`.
        boundary: number of a frame that always starts a segment: the first one after the end of the audio.
    """
    segment, previous_box, previous = None, None, None
    for entry in frames:
        number, frame, box = entry.number, entry.frame, entry.box
        thumbnail = _small(frame, CUT_PX)
        same_segment = number != boundary and _same_face(previous_box, box)
        if segment is None or previous is None:
            segment = Segment(number)
        elif not same_segment or is_cut(previous, thumbnail):
            yield from _pieces(segment, max_frames)
            segment = Segment(number)
        segment.add(frame, box, size_px)
        previous_box, previous = box, thumbnail
        if segment.has_face and segment.count >= min_frames + max_frames:
            yield segment.part(0, max_frames)
            segment = segment.part(max_frames, segment.count)
    if segment is not None:
        yield from _pieces(segment, max_frames)


def _pieces(segment: Segment, max_frames: int) -> Iterator[Segment]:
    pieces = 2 if segment.has_face and segment.count > max_frames else 1
    ends = [piece * segment.count // pieces for piece in range(pieces + 1)]
    yield from (segment.part(first, end) for first, end in pairwise(ends))


def _same_face(before: FaceBox | None, box: FaceBox | None) -> bool:
    """Whether the boxes of two consecutive frames belong to one face; also true if neither frame has a face."""
    if before is None or box is None:
        return before is box
    return before.iou(box) >= SAME_FACE_IOU


def _small(frame: Frame, longest_px: int) -> np.ndarray:
    shrink = min(1.0, longest_px / max(frame.width, frame.height))
    return frame.thumbnail(max(1, round(shrink * frame.width)), max(1, round(shrink * frame.height)))
