import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest
from helpers.face_videos import WOMAN, WOMAN_FACE

from diff2lip_diffusers.prepare.prepare_options import PrepareOptions
from diff2lip_diffusers.prepare.sharpness import SHARPNESS_PX, sharpness

FACE = PIL.Image.fromarray(WOMAN[WOMAN_FACE.y1 : WOMAN_FACE.y2, WOMAN_FACE.x1 : WOMAN_FACE.x2])


def pixels(width: int, blur: float = 0) -> np.ndarray:
    image = FACE.resize((width, width), PIL.Image.Resampling.BICUBIC)
    return np.asarray(image.filter(PIL.ImageFilter.GaussianBlur(blur)))


def test_a_pattern_of_known_sharpness():
    """Columns a, b, b, a, ... with d = b - a: the Laplacian is d or -d, the levels vary by (d / 2) squared."""
    row = np.tile([100, 140, 140, 100], SHARPNESS_PX // 4)
    picture = np.repeat(np.broadcast_to(row, (SHARPNESS_PX, SHARPNESS_PX))[..., None], 3, axis=2).astype(np.uint8)
    assert sharpness(picture) == pytest.approx(4, rel=1e-3)


def test_blur_is_told_from_sharp_faces_at_any_size_and_light():
    limit = PrepareOptions().min_sharpness
    for width in (96, 192, 288):
        assert sharpness(pixels(width)) > 5 * limit
        assert sharpness(pixels(width, blur=width / 48)) < limit
    assert sharpness(pixels(192) // 4) == pytest.approx(sharpness(pixels(192)), rel=0.1)
    steps = [sharpness(pixels(192, blur)) for blur in (0, 1, 2, 3, 4, 6)]
    assert steps == sorted(steps, reverse=True)


def test_a_face_without_contrast_is_not_sharp():
    assert sharpness(np.full((50, 40, 3), 77, np.uint8)) == 0
