"""Face tracks of a video for the SyncNet of 2016: who is seen for more than 100 frames, and the crops of that face.

Letters in shapes: K frames of a track.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from ...boxes import FaceBox
from .median_filter import median_filter
from .network import FRAME_PX
from .opencv_resize import resize_bilinear

# A scene with fewer frames, and a track with no more detections than this, is left out.
MIN_TRACK = 100
SAME_FACE_IOU = 0.5
MAX_GAP_FRAMES = 25
MIN_FACE_PX = 100
SMOOTHING_TAPS = 13
# What a crop shows, in half sizes of the face: above, below, and to either side of its center.
ABOVE, BELOW, BESIDE = 1.0, 1.8, 1.4
BORDER_LEVEL = 110


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face in successive frames.

    Attributes:
        first_frame: index in the video, from 0.
        boxes: (K, 4) float64: x1, y1, x2, y2 in pixels, interpolated where the face was not detected.
    """

    first_frame: int
    boxes: np.ndarray

    @property
    def last_frame(self) -> int:
        """Index in the video; inclusive."""
        return self.first_frame + len(self.boxes) - 1

    def crop_places(self) -> np.ndarray:
        """Returns (K, 3) float64: half size of the face, x and y of its center, each smoothed over 13 frames.

        Source: SYNCNET2016 section 4, step 5. Within 6 frames of the ends zeros take part, so values are low there.
        """
        x1, y1, x2, y2 = self.boxes.T
        curves = (np.maximum(x2 - x1, y2 - y1) / 2, (x1 + x2) / 2, (y1 + y2) / 2)
        return np.stack([median_filter(curve, SMOOTHING_TAPS) for curve in curves], axis=1)


def track_scenes(faces: Sequence[Sequence[FaceBox]], scene_starts: Sequence[int]) -> list[FaceTrack]:
    """Returns the face tracks of a video, scene by scene.

    Args:
        faces: the faces in each frame.
        scene_starts: index of the first frame of each scene, ascending from 0.

    Source: SYNCNET2016 section 4, steps 3 and 4.
    """
    tracks = []
    for start, end in zip(scene_starts, [*scene_starts[1:], len(faces)], strict=True):
        if end - start >= MIN_TRACK:
            tracks += _track_scene(faces[start:end], start)
    return tracks


def crop_face(frame: np.ndarray, place: Sequence[float]) -> np.ndarray:
    """Returns what SyncNet sees of a face, (224, 224, 3) uint8; gray where the frame ends.

    Args:
        frame: (H, W, 3) uint8.
        place: half size of the face, x and y of its center, in pixels.

    Source: SYNCNET2016 section 4, step 6.
    """
    size, x, y = place
    border = int(BELOW * size)
    # Rounded in the coordinates of the frame with its border, as the original does.
    top, bottom = int(y + border - ABOVE * size) - border, int(y + border + BELOW * size) - border
    left, right = int(x + border - BESIDE * size) - border, int(x + border + BESIDE * size) - border
    crop = np.full((bottom - top, right - left, 3), BORDER_LEVEL, np.uint8)
    height, width = frame.shape[:2]
    inside = frame[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if inside.size:
        row, column = max(-top, 0), max(-left, 0)
        crop[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return resize_bilinear(crop, FRAME_PX, FRAME_PX)


def _track_scene(faces: Sequence[Sequence[FaceBox]], start: int) -> list[FaceTrack]:
    remaining = [(start + index, box) for index, boxes in enumerate(faces) for box in boxes]
    tracks = []
    while remaining:
        chosen = _follow_first(remaining)
        if len(chosen) > MIN_TRACK:
            track = _interpolated([remaining[number] for number in sorted(chosen)])
            if _mean_size(track) > MIN_FACE_PX:
                tracks.append(track)
        remaining = [seen for number, seen in enumerate(remaining) if number not in chosen]
    return tracks


def _follow_first(remaining: Sequence[tuple[int, FaceBox]]) -> set[int]:
    """Indices of the detections, in order of frames, that continue the first one."""
    chosen, (last_frame, last_box) = {0}, remaining[0]
    for number, (frame, box) in enumerate(remaining[1:], start=1):
        if frame - last_frame > MAX_GAP_FRAMES:
            break
        if box.iou(last_box) > SAME_FACE_IOU:
            chosen.add(number)
            last_frame, last_box = frame, box
    return chosen


def _interpolated(seen: Sequence[tuple[int, FaceBox]]) -> FaceTrack:
    frames = [frame for frame, _ in seen]
    edges = np.array([astuple(box) for _, box in seen], np.float64)
    every = np.arange(frames[0], frames[-1] + 1)
    return FaceTrack(frames[0], np.stack([np.interp(every, frames, edge) for edge in edges.T], axis=1))


def _mean_size(track: FaceTrack) -> float:
    x1, y1, x2, y2 = track.boxes.mean(axis=0)
    return float(max(x2 - x1, y2 - y1))
