import numpy as np
import pytest

from diff2lip_diffusers.detail.change import LEAST_SHARE, ChangeLimit, mouth_level


def test_the_level_is_that_of_the_mouth():
    lower = np.full((36, 64, 3), 50.0)
    lower[37 - 28 : 60 - 28, 10:56] = 3  # rows and columns of the mouth
    assert mouth_level(lower, 28 / 64) == 3


@pytest.mark.parametrize(("change", "share"), [(0, 1.0), (0.25, 1.0), (0.3, 0.25 / 0.3), (5, LEAST_SHARE)])
def test_detail_that_changes_too_much_is_weakened(change, share):
    limit = ChangeLimit()
    for level in (8, 2, 5):  # how strong the detail is does not matter
        limit.add(change * level, level)
        assert limit.share == pytest.approx(share)


def test_one_frame_is_soon_outweighed():
    limit = ChangeLimit()
    for change in (1, *[0.1] * 100):
        limit.add(change, 1)
    assert limit.share == 1
