"""Face detectors by name: MTCNN comes with the package; others adapt packages that are imported on use."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ..boxes import Detection
from ..errors import Diff2LipError
from ..network_building import one_at_a_time
from .mtcnn import MTCNN, to_detections
from .second_look import DOUBTFUL_SCORE, SecondLook

# The paper's, except for the last: with its 0.7, one faceless frame in eight gives a box.
MTCNN_THRESHOLDS = (0.6, 0.7, DOUBTFUL_SCORE)

FaceDetector = Callable[[Sequence[np.ndarray]], list[list[Detection]]]
"""A function that takes frames, uint8 RGB (H, W, 3) of one size, and returns the faces of each, best first.

Boxes are in pixels of the frame and lie inside it, right and bottom exclusive; scores are in [0, 1]. A frame without a
face gives an empty list. The faces of a frame do not depend on the other frames. Any such function can replace a named
detector.
"""


def load_mtcnn(device: str | torch.device) -> FaceDetector:
    """Returns the detector that comes with the package, with thresholds that reject doubtful faces.

    Source: Zhang et al. 2016.
    """
    return SecondLook(MTCNN(thresholds=MTCNN_THRESHOLDS).to(device))


def load_s3fd(device: str | torch.device) -> FaceDetector:
    """Returns the detector of Diff2Lip's authors, from the package face-alignment; it downloads its weights once.

    It needs a GPU: it sees the frames in full size, which takes a CPU seconds for a frame of 1080×1920.

    Raises:
        Diff2LipError: the package is not installed, or its weights cannot be downloaded or loaded.

    Source: Zhang et al. 2017, "S3FD: Single Shot Scale-invariant Face Detector".
    """
    try:
        from face_alignment.detection.sfd import FaceDetector as SFDDetector  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise Diff2LipError(
            "face detector 's3fd' needs the package face-alignment: pip install diff2lip-diffusers[s3fd]"
        ) from error
    try:
        detector = SFDDetector(device=str(device))
    except (OSError, RuntimeError) as error:  # no connection, no disk space, or a damaged file
        reason = str(error).partition("\n")[0]
        raise Diff2LipError(f"face detector 's3fd' could not download or load its weights: {reason}") from error
    return lambda frames: [_detect_with_s3fd(detector, frame) for frame in frames]


def _detect_with_s3fd(detector, frame: np.ndarray) -> list[Detection]:
    """Returns the faces of one frame. Frames go one by one, because each takes gigabytes in full size."""
    pixels = torch.from_numpy(np.require(frame, requirements=["C", "W"])).permute(2, 0, 1)[None]
    found = torch.as_tensor(np.array(detector.detect_from_batch(pixels)[0], dtype=np.float64).reshape(-1, 5))
    found = found[found[:, 4].argsort(descending=True, stable=True)]
    return to_detections(found[:, :4], found[:, 4], width=frame.shape[1], height=frame.shape[0])


FACE_DETECTORS: dict[str, Callable[[str | torch.device], FaceDetector]] = {"mtcnn": load_mtcnn, "s3fd": load_s3fd}


@one_at_a_time
def load_face_detector(name: str = "mtcnn", device: str | torch.device = "cpu") -> FaceDetector:
    """Returns the face detector called `name`, on `device`.

    Args:
        name: a key of FACE_DETECTORS.
        device: where its networks run.

    Raises:
        ValueError: an unknown name.
        Diff2LipError: the detector's package or weights are missing.
    """
    if name not in FACE_DETECTORS:
        raise ValueError(f"name must be one of {', '.join(FACE_DETECTORS)}, got {name!r}")
    return FACE_DETECTORS[name](device)
