"""Where the face is: boxes, the choice of one face, its track through time, cropping and pasting back.

Letters in shapes: H, W the frame's height and width, S the crop's height and width in pixels. Streams are iterators of
(frame, box) pairs; a box of None marks a frame without a face.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F

# Below this overlap two boxes show different faces, or the picture was cut.
SAME_FACE_IOU = 0.3
# How many faceless frames in a row are bridged, and how many neighbours on each side steady a box.
MAX_GAP_FRAMES = 5
SMOOTHING_RADIUS_FRAMES = 3
# A mean change above this, in levels of 255 on a grid of about that many points a side, is a cut.
CUT_LEVELS, CUT_GRID = 16, 48
# Soft edges of a paste, as fractions of the box, inside the painted part.
FEATHER_FRACTION = 0.08


@dataclass(frozen=True)
class FaceBox:
    """A rectangle in pixels; right and bottom are exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """In pixels, 0 for a box without extent."""
        return max(0, self.x2 - self.x1)

    @property
    def height(self) -> float:
        """In pixels, 0 for a box without extent."""
        return max(0, self.y2 - self.y1)

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    def iou(self, other: "FaceBox") -> float:
        """Intersection over union with another box, in [0, 1]."""
        shared = FaceBox(
            max(self.x1, other.x1), max(self.y1, other.y1), min(self.x2, other.x2), min(self.y2, other.y2)
        ).area
        union = self.area + other.area - shared
        return shared / union if union else 0.0

    def padded(self, top: float, bottom: float, left: float, right: float) -> "FaceBox":
        """Grown on each side by that many pixels."""
        return FaceBox(self.x1 - left, self.y1 - top, self.x2 + right, self.y2 + bottom)

    def clipped(self, width: int, height: int) -> "FaceBox":
        """The part inside a frame of `width` x `height` pixels."""
        return FaceBox(max(0, self.x1), max(0, self.y1), min(width, self.x2), min(height, self.y2))

    def rounded(self) -> "FaceBox":
        """The nearest box of whole pixels."""
        return FaceBox(*(int(np.floor(edge + 0.5)) for edge in astuple(self)))


@dataclass(frozen=True)
class Detection:
    """One detected face: its box and the detector's confidence in [0, 1]."""

    box: FaceBox
    score: float


Tracked = Iterator[tuple[np.ndarray, FaceBox | None]]


def choose_face(detections: Sequence[Detection], previous: FaceBox | None = None) -> FaceBox | None:
    """The face to follow: without a previous box the largest, else the one that overlaps most with it; or None."""
    boxes = [detection.box for detection in detections]
    if previous is None:
        return max(boxes, key=lambda box: box.area, default=None)
    nearest = max(boxes, key=previous.iou, default=None)
    return nearest if nearest is not None and previous.iou(nearest) >= SAME_FACE_IOU else None


def track_face(frames: Iterable[tuple[np.ndarray, Sequence[Detection]]], patience: int = MAX_GAP_FRAMES) -> Tracked:
    """Follows one face through frames (H, W, 3) that come with their detections.

    Another face is taken up after a cut, or once the followed one was missing for more than `patience` frames: a false
    detection in a single frame does not draw the track away.
    """
    previous, missing, last_frame = None, 0, None
    for frame, detections in frames:
        if missing > patience or (last_frame is not None and is_cut(last_frame, frame)):
            previous = None
        box = choose_face(detections, previous)
        previous, missing, last_frame = box or previous, 0 if box else missing + 1, frame
        yield frame, box


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether the whole picture changes between two frames (H, W, 3), looked at on a coarse grid of pixels."""
    rows, columns = (max(1, extent // CUT_GRID) for extent in before.shape[:2])
    first, second = (frame[::rows, ::columns].astype(np.int16) for frame in (before, after))
    return bool(np.abs(first - second).mean() > CUT_LEVELS)


def bridge_gaps(tracked: Tracked, max_gap: int = MAX_GAP_FRAMES) -> Tracked:
    """Interpolates the box over up to `max_gap` faceless frames in a row if the same face stands on both sides."""
    last, gap = None, []
    for frame, box in tracked:
        if box is None and last is not None and len(gap) < max_gap:
            gap.append(frame)
            continue
        bridged = box is not None and gap and last.iou(box) >= SAME_FACE_IOU
        for index, missing in enumerate(gap, start=1):
            yield missing, _interpolate(last, box, index / (len(gap) + 1)) if bridged else None
        gap, last = [], box
        yield frame, box
    yield from ((frame, None) for frame in gap)


def _interpolate(first: FaceBox, second: FaceBox, weight: float) -> FaceBox:
    return FaceBox(*((1 - weight) * a + weight * b for a, b in zip(astuple(first), astuple(second), strict=True)))


def smooth_boxes(tracked: Tracked, radius: int = SMOOTHING_RADIUS_FRAMES) -> Tracked:
    """Steadies boxes by a centred mean, which does not lag, over up to `radius` frames on each side.

    The mean is symmetric everywhere and ends where the face is lost or jumps: at a cut, nothing leaks across it.
    """
    window: deque = deque()
    centre = 0
    for pair in tracked:
        window.append(pair)
        if len(window) - centre > radius:
            yield window[centre][0], _centred_mean([box for _, box in window], centre)
            centre += 1
        if centre > radius:
            window.popleft()
            centre -= 1
    for index in range(centre, len(window)):
        yield window[index][0], _centred_mean([box for _, box in window], index)


def _centred_mean(boxes: list[FaceBox | None], centre: int) -> FaceBox | None:
    if boxes[centre] is None:
        return None
    behind, ahead = _run_length(boxes[centre::-1]), _run_length(boxes[centre:])
    reach = min(behind, ahead)
    return FaceBox(*np.mean([astuple(box) for box in boxes[centre - reach : centre + reach + 1]], axis=0).tolist())


def _run_length(boxes: list[FaceBox | None]) -> int:
    """How many boxes after the first show the same face without a break."""
    for index, (box, following) in enumerate(pairwise(boxes)):
        if following is None or box.iou(following) < SAME_FACE_IOU:
            return index
    return len(boxes) - 1


def smooth_boxes_as_original(tracked: Tracked) -> Tracked:
    """The original's smoothing, in place on whole numbers: each box becomes the truncated mean of itself and the next
    four, or, near the end, of the last five, of which some are smoothed already.

    Source: SPEC "Frames".
    """
    recent: list[FaceBox] = []
    waiting: deque = deque()
    for frame, box in tracked:
        recent = [*recent[-4:], box]
        waiting.append(frame)
        if len(recent) == 5:
            recent[0] = _truncated_mean(recent)
            yield waiting.popleft(), recent[0]
    for index in range(len(recent) - len(waiting), len(recent)):
        recent[index] = _truncated_mean(recent)
        yield waiting.popleft(), recent[index]


def _truncated_mean(boxes: Sequence[FaceBox]) -> FaceBox:
    return FaceBox(*np.mean([astuple(box) for box in boxes], axis=0).astype(int).tolist())


def voxceleb2_box(width: int, height: int) -> FaceBox:
    """The face in a VoxCeleb2 frame, which is a face crop already.

    Source: SPEC "Frames".
    """
    margin = int(1.8 * width / 8)
    return FaceBox(margin, 0, width - margin, height - int(2.36 * height / 8))


def crop_face(frame: np.ndarray, box: FaceBox, size: int) -> np.ndarray:
    """The face in a box of whole pixels inside the frame, as (S, S, 3) uint8.

    Args:
        frame: (H, W, 3) uint8.
        box: where to cut.
        size: S.

    Source: SPEC "Frames" (bilinear, no antialiasing: what the model was trained on).
    """
    return resize_image(frame[_rows_and_columns(box)], size, size)


def resize_image(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """(h, w, 3) uint8 to (height, width, 3) uint8, bilinear without antialiasing."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    resized = F.interpolate(pixels, size=(height, width), mode="bilinear", align_corners=False)
    return resized[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def paste_box(frame: np.ndarray, box: FaceBox, face: np.ndarray) -> np.ndarray:
    """A copy of the frame with the whole box replaced by a resized face: the original's paste, with its hard seam.

    Args:
        frame: (H, W, 3) uint8.
        box: of whole pixels, inside the frame.
        face: (S, S, 3) uint8.
    """
    result = frame.copy()
    result[_rows_and_columns(box)] = resize_image(face, int(box.width), int(box.height))
    return result


def paste_painted(frame: np.ndarray, box: FaceBox, face: np.ndarray, painted_fraction: float = 0.5) -> np.ndarray:
    """A copy of the frame with only the painted lower part of the box replaced, its edges feathered inwards.

    Args:
        frame: (H, W, 3) uint8.
        box: of whole pixels, inside the frame.
        face: (S, S, 3) float32 in [0, 1].
        painted_fraction: lower part of the face that the model painted, in (0, 1].
    """
    top = int(box.y2 - np.floor(box.height * painted_fraction))
    target = replace(box, y1=top)
    pixels = torch.from_numpy(face).permute(2, 0, 1)[None].float()
    resized = F.interpolate(
        pixels, size=(int(box.height), int(box.width)), mode="bicubic", align_corners=False, antialias=True
    )
    painted = 255 * resized[0].permute(1, 2, 0).numpy()[int(box.height - target.height) :].clip(0, 1)

    result = frame.copy()
    area = _rows_and_columns(target)
    opacity = _feather(int(target.height), int(target.width))[..., None]
    result[area] = np.floor((1 - opacity) * frame[area] + opacity * painted + 0.5).astype(np.uint8)
    return result


def _feather(height: int, width: int) -> np.ndarray:
    """(height, width) opacity: 1 inside, falling smoothly towards 0 at all four edges."""
    soft = max(1.0, FEATHER_FRACTION * width)
    rows, columns = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / soft for n in (height, width))
    ramp = np.outer(rows.clip(0, 1), columns.clip(0, 1))
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def _rows_and_columns(box: FaceBox) -> tuple[slice, slice]:
    return slice(int(box.y1), int(box.y2)), slice(int(box.x1), int(box.x2))
