"""Resizing with OpenCV's rounding: recorded frames, and special sizes."""

import numpy as np
import pytest
from helpers.recorded_syncnet2016 import golden, recorded_frames

from diff2lip_diffusers.evaluation.syncnet2016.opencv_resize import resize_bilinear


@pytest.mark.parametrize("size", [160, 300])
def test_equals_opencv_to_the_bit(size):
    resized = resize_bilinear(recorded_frames(1, size, size)[0], 224, 224)
    np.testing.assert_array_equal(resized[..., 1], golden()[f"r{size}_green"])


def test_same_size_changes_nothing():
    frame = recorded_frames(1, 224, 224)[0]
    np.testing.assert_array_equal(resize_bilinear(frame, 224, 224), frame)


def test_a_single_pixel_fills_the_frame():
    resized = resize_bilinear(np.full((1, 1, 3), 77, np.uint8), 5, 4)
    assert resized.shape == (4, 5, 3) and (resized == 77).all()


def test_half_size_is_the_mean_of_four_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    means = frame.reshape(4, 2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(resize_bilinear(frame, 3, 4), np.floor(means + 0.5))


def test_a_given_scale_counts_pixels_from_the_corner():
    frame = np.tile(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], (4, 1, 3))
    # Centers of the first pixels at 1.5, 5.5, ... of the source, though 19 is no multiple of 4.
    resized = resize_bilinear(frame[:, :19], 5, 1, scale=4)
    np.testing.assert_array_equal(resized[0, :, 0], [15, 55, 95, 135, 175])


@pytest.mark.parametrize("frame", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_refuses_other_arrays(frame):
    with pytest.raises(ValueError, match="`frame` is"):
        resize_bilinear(frame, 2, 2)
