"""Detection with a second look: a doubtful face counts if the mirrored frame shows it, too."""

from collections.abc import Sequence

import numpy as np

from ..boxes import Detection, FaceBox
from .mtcnn import MTCNN

# A face above the first score is sure: few frames without one reach it. Drawn faces stay below; from the second score
# on they are looked at again. What only resembles a face seldom does so in the mirror, at the same place.
SURE_SCORE, DOUBTFUL_SCORE, SAME_PLACE_IOU = 0.95, 0.85, 0.6


class SecondLook:
    """Faces of MTCNN: the sure ones of a frame; if it has none, the doubtful ones that are seen again in the mirror.

    Args:
        network: finds faces with scores above `DOUBTFUL_SCORE`.
    """

    def __init__(self, network: MTCNN):
        self.network = network

    def __call__(self, frames: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Returns the faces of each frame, as [`MTCNN.detect`] does."""
        found = self.network.detect(frames)
        faces = [[face for face in of_frame if face.score > SURE_SCORE] for of_frame in found]
        doubtful = [index for index, of_frame in enumerate(found) if of_frame and not faces[index]]
        mirrored = self.network.detect([np.ascontiguousarray(frames[index][:, ::-1]) for index in doubtful])
        for index, again in zip(doubtful, mirrored, strict=True):
            places = [_mirrored(face.box, frames[index].shape[1]) for face in again]
            faces[index] = [
                face for face in found[index] if any(face.box.iou(place) >= SAME_PLACE_IOU for place in places)
            ]
        return faces


def _mirrored(box: FaceBox, width: int) -> FaceBox:
    return FaceBox(width - box.x2, box.y1, width - box.x1, box.y2)
