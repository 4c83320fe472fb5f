"""The darkness of mouths against closed forms."""

import math

import numpy as np
import pytest
import torch

from diff2lip_diffusers.personal.mouth_darkness import match_mouths, mouth_box, mouth_darkness


def mouths(openings, size_px: int = 100, lips: float = 0.6, inside: float = 0.1) -> torch.Tensor:
    """Gray faces with a dark rectangle of 30 columns and so many rows in the box of the mouth."""
    frames = torch.full((len(openings), 3, size_px, size_px), lips)
    for frame, rows in zip(frames, openings, strict=True):
        frame[:, 80 : 80 + rows, 35:65] = inside
    return frames


def test_the_box_is_the_mouth_of_a_crop_from_forehead_to_chin():
    rows, columns = torch.meshgrid(torch.arange(100.0), torch.arange(100.0), indexing="ij")
    box = mouth_box(torch.stack([rows, columns])[None])[0]
    assert box.shape == (2, 31, 60)
    assert (box[0].min(), box[0].max()) == (66, 96) and (box[1].min(), box[1].max()) == (20, 79)


def test_darkness_is_median_minus_fifth_percentile_of_luma():
    # The box has 31 x 60 pixels: 2 dark rows of 30 are 3.2 % of them, 4 rows 6.5 %.
    assert mouth_darkness(mouths([0, 2, 4])) == pytest.approx([0, 0, 0.5 * 255], abs=1e-3)
    red = torch.zeros(1, 3, 100, 100)
    red[:, 0] = 1.0
    red[:, :, 80:90] = 0.0
    assert mouth_darkness(red) == pytest.approx([0.299 * 255], abs=1e-3)


def test_a_perfect_result_and_one_that_moves_half_as_much():
    truth = torch.cat([mouths([6], inside=value) for value in (0.1, 0.3, 0.2, 0.5, 0.4)])
    perfect = match_mouths(truth, truth)
    assert (perfect.correlation, perfect.movement) == pytest.approx((1, 1)) and perfect.psnr_db == pytest.approx(100)
    half = match_mouths(0.5 * truth, truth)
    assert (half.correlation, half.movement) == pytest.approx((1, 0.5))


def test_psnr_is_of_the_box_only():
    truth = mouths([4, 8])
    painted = truth.clone()
    painted[:, :, :60] = 0.0
    assert match_mouths(painted, truth).psnr_db == pytest.approx(100)
    assert match_mouths(truth + 0.05, truth).psnr_db == pytest.approx(-20 * math.log10(0.05), abs=1e-3)


def test_a_still_mouth_follows_nothing():
    truth = mouths([4, 12, 6, 9], inside=0.2)
    truth[1:, :, 80:84] *= torch.tensor([0.2, 0.6, 0.9])[:, None, None, None]
    still = match_mouths(mouths([4] * 4), truth)
    assert still.correlation == 0 and still.movement == pytest.approx(0, abs=1e-6)
    assert np.isfinite(still.psnr_db)
