"""Landmarks of the mouth by any detector: their distance from the reference's, and the gap between the lips."""

from pathlib import Path
from typing import Any

import numpy as np

from ...boxes import FaceBox
from ...errors import Diff2LipError, MediaError
from ..aligned_frames import AlignedFrame, NotMeasurable
from ..options import LandmarkDetector

FACE_ALIGNMENT = "face-alignment"
# The mouth among 68 points: 12 round the outer rim from the left corner on, 8 round the inner one. Source: iBUG 300-W.
MOUTH_OF_68 = tuple(range(48, 68))
# The same places among MediaPipe's points.
OUTER_OF_MESH = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
INNER_OF_MESH = (78, 81, 13, 311, 308, 402, 14, 178)
# By the number of points that a detector gives: which are the 20 of the mouth.
MOUTH_POINTS = {
    20: tuple(range(20)),
    68: MOUTH_OF_68,
    468: OUTER_OF_MESH + INNER_OF_MESH,
    478: OUTER_OF_MESH + INNER_OF_MESH,
}
# Upper and lower points of the inner rim that face each other, among the 20.
FACING = ((13, 19), (14, 18), (15, 17))
FACE_PX = 256.0
# MediaPipe wants to see some of what is around the face.
MARGIN = 0.25


class MouthLandmarks:
    """The mouth's points in each frame, in a face box of 1 x 1; implements `OpeningMeter`.

    Args:
        detect: see [`LandmarkDetector`].
    """

    reads_colors = False

    def __init__(self, detect: LandmarkDetector):
        self._detect = detect
        self._known: dict[str, tuple[int, np.ndarray | None]] = {}

    def opening(self, pixels: np.ndarray, frame: AlignedFrame) -> float | None:
        """Returns the mean gap between the inner lips as a part of the face's height; None without a face."""
        points = self.points(pixels, frame)
        if points is None:
            return None
        return float(np.mean([np.linalg.norm(points[low] - points[high]) for high, low in FACING]))

    def distance(self, frame: AlignedFrame) -> float | None:
        """Returns the mean distance of the 20 points in output and reference, in pixels of a face of 256.

        Source: LMD, Chen et al. 2018, "Lip movements generation at a glance".
        """
        if frame.reference is None:
            return None
        output, reference = self.points(frame.output, frame), self.points(frame.reference, frame)
        if output is None or reference is None:
            return None
        return FACE_PX * float(np.linalg.norm(output - reference, axis=1).mean())

    def points(self, pixels: np.ndarray, frame: AlignedFrame) -> np.ndarray | None:
        """Returns the 20 points of the mouth (20, 2), from the corner of the face box on, in units of its size."""
        which = "output" if pixels is frame.output else "reference"
        known = self._known.get(which)
        if known is None or known[0] != frame.index:
            known = self._known[which] = frame.index, self._found(pixels, frame.box)
        return known[1]

    def _found(self, pixels: np.ndarray, box: FaceBox | None) -> np.ndarray | None:
        points = None if box is None else self._detect(pixels, box)
        if box is None or points is None:
            return None
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] < 2 or len(points) not in MOUTH_POINTS:
            known = " or ".join(f"({count}, 2)" for count in MOUTH_POINTS)
            raise NotMeasurable(f"`landmarks` gave an array of shape {points.shape}, expected {known}")
        mouth = points[list(MOUTH_POINTS[len(points)]), :2]
        return (mouth - (box.x1, box.y1)) / (box.width, box.height)

    def true_curve(self) -> None:
        """Landmarks know no truth."""

    def original_curve(self) -> None:
        """Landmarks know no truth."""


def load_landmarks(which: str | Path | LandmarkDetector, device: str = "cpu") -> LandmarkDetector:
    """Returns a landmark detector.

    Args:
        which: `"face-alignment"`, a MediaPipe model file (`.task`), or a function, which is returned as it is.
        device: where face-alignment computes.

    Raises:
        ValueError: if it is none of these.
        MediaError: if the file is missing.
        Diff2LipError: if the package is not installed.
    """
    if callable(which):
        return which
    if which == FACE_ALIGNMENT:
        return FaceAlignmentDetector(device)
    path = Path(which)
    if path.suffix == ".task":
        if not path.is_file():
            raise MediaError(path, "no such file; download MediaPipe's face_landmarker.task and name it")
        return MediaPipeDetector(path)
    raise ValueError(f"`landmarks` is {str(which)!r}, expected {FACE_ALIGNMENT!r}, a .task file, or a function")


class FaceAlignmentDetector:
    """68 points by the package face-alignment, which downloads its weights at first use.

    Source: Bulat and Tzimiropoulos 2017.
    """

    def __init__(self, device: str):
        try:
            import face_alignment  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            cure = "pip install face-alignment"
            raise Diff2LipError(f"--landmarks {FACE_ALIGNMENT} needs the package: {cure}") from error
        self._network: Any = face_alignment.FaceAlignment(face_alignment.LandmarksType.TWO_D, device=device)

    def __call__(self, pixels: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """Returns the points (68, 2) of the face in a box."""
        place = [float(box.x1), float(box.y1), float(box.x2), float(box.y2)]
        found = self._network.get_landmarks_from_image(pixels, detected_faces=[place])
        return np.asarray(found[0])[:, :2] if found else None


class MediaPipeDetector:
    """478 points by a MediaPipe model file, in the surroundings of the face box.

    Source: MediaPipe Tasks, Face Landmarker.
    """

    def __init__(self, path: Path):
        try:
            import mediapipe  # pyright: ignore[reportMissingImports]
            from mediapipe.tasks.python import BaseOptions, vision  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise Diff2LipError(f"{path}: needs the package mediapipe: pip install mediapipe") from error
        self._mediapipe: Any = mediapipe
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(path)),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=1,
        )
        try:
            self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise MediaError(path, "is no model of MediaPipe's Face Landmarker; name face_landmarker.task") from error

    def __call__(self, pixels: np.ndarray, box: FaceBox) -> np.ndarray | None:
        """Returns the points (478, 2) of the face in a box."""
        height, width = pixels.shape[:2]
        aside, above = round(MARGIN * box.width), round(MARGIN * box.height)
        x1, y1 = max(0, int(box.x1) - aside), max(0, int(box.y1) - above)
        part = np.ascontiguousarray(
            pixels[y1 : min(height, int(box.y2) + above), x1 : min(width, int(box.x2) + aside)]
        )
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=part)
        faces = self._landmarker.detect(image).face_landmarks
        if not faces:
            return None
        points = np.array([(point.x, point.y) for point in faces[0]])
        return points * (part.shape[1], part.shape[0]) + (x1, y1)
