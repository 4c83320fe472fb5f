import numpy as np
import pytest

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.restoration.alignment import aligned_square

# The five landmarks of FFHQ's faces at 512 pixels, as published with facexlib: eyes, nose, corners of the mouth.
TEMPLATE = [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]]
# Where they lie in the boxes of the detector, as fractions of the height from the box's top: eyes, nose, mouth.
ROWS = [0.39, 0.39, 0.60, 0.76, 0.76]


@pytest.mark.parametrize("height", [60, 120, 480])
def test_landmarks_of_a_typical_box_lie_where_training_had_them(height):
    box = FaceBox(300, 200, 300 + round(0.76 * height), 200 + height)
    square = aligned_square(box)
    rows = [(box.y1 + share * height - square.y1) * 512 / square.width for share in ROWS]
    np.testing.assert_allclose(rows, [y for _, y in TEMPLATE], atol=8)
    middle = ((box.x1 + box.x2) / 2 - square.x1) * 512 / square.width
    assert middle == pytest.approx(256, abs=512 / square.width)
    assert square.width == square.height


@pytest.mark.parametrize("box", [FaceBox(0, 0, 300, 40), FaceBox(5, 7, 45, 300)])
def test_the_square_holds_all_of_the_box(box):
    square = aligned_square(box)
    assert square.x1 <= box.x1 and square.y1 <= box.y1 and square.x2 >= box.x2 and square.y2 >= box.y2
