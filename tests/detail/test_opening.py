import numpy as np

from diff2lip_diffusers.detail.opening import opening_of

SKIN, LIPS, TEETH, DARK = (200, 150, 130), (160, 80, 80), (220, 215, 205), (30, 22, 20)
SIZE, FIRST_ROW = 64, 28


def lower(inside=None) -> np.ndarray:
    """A flat face's lower part with lips; what is inside them: nothing, or teeth over dark."""
    face = np.full((SIZE, SIZE, 3), SKIN, np.float32)
    face[42:56, 20:44] = LIPS
    if inside is not None:
        face[46:49, 24:40], face[49:52, 24:40] = inside
    return face[FIRST_ROW:]


def test_teeth_and_what_is_dark_are_inside():
    opening = opening_of(lower((TEETH, DARK)), FIRST_ROW)
    assert opening is not None and opening.shape == (SIZE - FIRST_ROW, SIZE)
    inside = np.zeros_like(opening, bool)
    inside[46 - FIRST_ROW : 52 - FIRST_ROW, 24:40] = True
    assert opening[inside].mean() > 0.7
    assert opening[~inside].sum() < 0.4 * opening.sum()


def test_a_shut_mouth_has_no_opening():
    assert opening_of(lower(), FIRST_ROW) is None


def test_a_gray_picture_has_no_colors_to_tell_by():
    gray = lower((TEETH, DARK)).mean(axis=2, keepdims=True).repeat(3, axis=2)
    assert opening_of(gray, FIRST_ROW) is None
