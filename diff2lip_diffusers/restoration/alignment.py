"""Alignment: a face lies in the restorer's square where it lay in training, as far as its box tells.

The restorers were trained on FFHQ's faces: squares of 512 pixels in which five landmarks (eyes, nose, corners of the
mouth) lie at fixed places. We have no landmarks. So the box is placed where the box of a typical face lies there, by a
shift and a scale; a tilted head stays tilted. With the landmarks of MTCNN's own network, the boxes of MTCNN lay at
rows 106 to 450 of that square on average (12 faces, of photos, a film and drawings; standard deviation 13 and 6
pixels), and in its middle from left to right.
"""

import numpy as np

from ..boxes import FaceBox

ALIGNED_PX = 512
FACE_TOP_PX, FACE_BOTTOM_PX = 106, 450


def aligned_square(box: FaceBox) -> FaceBox:
    """The square of a frame, in whole pixels, that shows a face as the restorers were trained; it may reach outside.

    Args:
        box: of the face; its width hardly matters, because detectors differ most in that.
    """
    scale = max(box.height / (FACE_BOTTOM_PX - FACE_TOP_PX), box.width / ALIGNED_PX)  # all of a wide box is inside
    side = max(1, int(np.floor(scale * ALIGNED_PX + 0.5)))
    left = int(np.floor((box.x1 + box.x2 - side) / 2 + 0.5))
    top = int(np.floor(box.y1 - scale * FACE_TOP_PX + 0.5))
    return FaceBox(left, top, left + side, top + side)
