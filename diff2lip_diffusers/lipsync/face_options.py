"""Options of where the face is; [`SyncOptions`] says what they mean."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..boxes import FaceBox
from ..faces.detectors import FACE_DETECTORS, FaceDetector
from .option import option
from .option_values import Box, FaceChoice, Flag, LocalPath, Number, Pads, WordOrFunction
from .speech_options import POSITIVE, LengthOptions


@dataclass(frozen=True, kw_only=True)
class FaceOptions(LengthOptions):
    """Where the face is."""

    box: FaceBox | Sequence[float] | None = option(
        None,
        Box(),
        "fixed face box, for drawn faces for example",
        "face",
        metavar="X1,Y1,X2,Y2",
        rivals="place",
    )
    detector: str | FaceDetector = option(
        "mtcnn",
        WordOrFunction(tuple(FACE_DETECTORS)),
        "face detector (default: mtcnn)",
        "face",
        rivals="place",
        scope="batch",
    )
    voxceleb2_crop: bool = option(False, Flag(), "the video is a VoxCeleb2 face crop", "face", rivals="place")
    face: str | int | Sequence[float] = option(
        "largest",
        FaceChoice(),
        "which face to follow: largest (the default), a number from 0 on the left, or a point X,Y",
        "face",
        metavar="WHICH",
    )
    pads: tuple[int, int, int, int] = option(
        (0, 0, 0, 0), Pads(), "grow detected boxes by pixels; --pads=-5,… to shrink", "face", metavar="T,B,L,R"
    )
    detection_stride: int = option(
        4,
        POSITIVE,
        "run the detector on every Nth frame, and where something changes (default: 4)",
        "face",
        metavar="N",
    )
    detection_size: int = option(
        640,
        Number(int, 64, math.inf, "a whole number of pixels, at least 64"),
        "longest side of what the detector sees (default: 640)",
        "face",
        metavar="PX",
    )
    detections: str | Path | None = option(
        None,
        LocalPath(),
        "boxes of all faces to use, or to write if the file is missing",
        "face",
        metavar="FILE",
        scope="video",
        changes_output=False,
    )
