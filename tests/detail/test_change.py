import cv2
import numpy as np
import pytest
import skimage.data

from diff2lip_diffusers.detail.change import LEAST_SHARE, LENIENCE, ChangeLimit, mouth_level, natural_change
from diff2lip_diffusers.detail.exemplars import make_exemplar

PHOTO = cv2.resize(skimage.data.astronaut()[60:210, 150:300], (160, 160), interpolation=cv2.INTER_AREA)
SIZE, FRACTION, FIRST_ROW = 64, 0.5, 28


def exemplars(noise: float, numbers=range(0, 16, 2)):
    """Frames that differ by a motion, and by noise of so many levels."""
    random = np.random.default_rng(0)
    faces = [np.roll(PHOTO, number % 3, axis=1) + random.normal(0, noise, PHOTO.shape) for number in numbers]
    faces = [face.clip(0, 255).round().astype(np.uint8) for face in faces]
    return [make_exemplar(number, face, SIZE, FRACTION) for number, face in zip(numbers, faces, strict=True)]


def test_grain_changes_and_motion_hardly_does():
    still, grainy = (natural_change(exemplars(noise), FIRST_ROW) for noise in (0, 10))
    assert still < 4
    # Two frames differ by the root of two times the noise, less what resizing and the coarse part have of it.
    assert 0.5 < np.sqrt(grainy**2 - still**2) / (10 * np.sqrt(2)) < 1


def test_one_exemplar_says_nothing():
    assert natural_change(exemplars(0)[:1], FIRST_ROW) == np.inf
    limit = ChangeLimit(np.inf)
    limit.add(100)
    assert limit.share == 1


def test_frames_that_follow_each_other_count_before_those_far_apart():
    near, far = exemplars(0, range(4)), exemplars(40, range(100, 180, 20))
    assert natural_change([*far, *near], FIRST_ROW) == natural_change(near, FIRST_ROW)


def test_the_level_is_that_of_the_mouth():
    lower = np.full((36, 64, 3), 50.0)
    lower[37 - 28 : 60 - 28, 10:56] = 3  # rows and columns of the mouth
    assert mouth_level(lower, 28 / 64) == 3


@pytest.mark.parametrize(
    ("change", "share"), [(1, 1.0), (10 * LENIENCE, 1.0), (12, 10 * LENIENCE / 12), (100, LEAST_SHARE)]
)
def test_detail_that_changes_too_much_is_weakened(change, share):
    limit = ChangeLimit(10)
    for _ in range(30):
        limit.add(change * limit.share)  # what is weakened changes less
    assert limit.share == pytest.approx(share)
