import numpy as np
import pytest
import torch
from helpers.face_videos import WOMAN
from skimage.filters import gaussian
from skimage.filters import laplace as skimage_laplace
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.evaluation.measures.picture import mean_squared_error, psnr_db, ssim
from diff2lip_diffusers.evaluation.measures.sharpness import (
    border_gradient,
    high_band_energy,
    laplacian_variance,
    luma,
    reduced,
)
from diff2lip_diffusers.evaluation.measures.steadiness import shift_between


@pytest.fixture(scope="module")
def pair():
    """A photo, and the same with noise and less contrast."""
    noise = np.random.default_rng(0).normal(0, 6, WOMAN.shape)
    return WOMAN, (0.9 * WOMAN + 10 + noise).clip(0, 255).astype(np.uint8)


def test_psnr_is_skimages(pair):
    assert psnr_db(mean_squared_error(*pair)) == pytest.approx(peak_signal_noise_ratio(*pair), abs=1e-4)


def test_equal_frames_have_the_best_psnr():
    assert psnr_db(0.0) == 100


def test_ssim_is_skimages(pair):
    tensors = [torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 for pixels in pair]
    theirs = structural_similarity(
        *pair, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(*tensors) == pytest.approx(theirs, abs=1e-4)


def test_the_variance_of_the_laplacian_is_skimages():
    gray = luma(WOMAN)
    theirs = skimage_laplace(gray.astype(np.float64))[1:-1, 1:-1].var()
    assert laplacian_variance(gray) == pytest.approx(theirs, rel=1e-4)


def test_what_only_a_larger_picture_can_show_does_not_count_in_a_reduced_one():
    gray = luma(WOMAN)[:256, :256]
    finest = 20 * (np.indices(gray.shape).sum(0) % 2).astype(np.float32)
    assert laplacian_variance(gray + finest) > 5 * laplacian_variance(gray)
    with_finest, without = (reduced(part, 0.5)[1:-1, 1:-1] for part in (gray + finest, gray))
    assert laplacian_variance(with_finest) == pytest.approx(laplacian_variance(without), rel=1e-3)
    assert reduced(gray, 0.5).shape == (128, 120)
    assert reduced(gray, 1.5) is gray


def test_the_high_band_is_what_skimages_gaussian_takes_away():
    gray = luma(WOMAN)
    blurred = gaussian(gray, 1.5, mode="nearest", truncate=10 / 3, preserve_range=True)
    assert high_band_energy(gray) == pytest.approx(np.square(gray - blurred).mean(), rel=1e-3)


def test_a_step_at_the_border_is_found_and_inside_it_is_not():
    frame, box = np.zeros((100, 100), np.float32), FaceBox(20, 40, 60, 80)
    frame[40:80, 20:60] = 10
    assert border_gradient(frame, box) == pytest.approx(10)
    inside = np.zeros((100, 100), np.float32)
    inside[55:65, 35:45] = 10
    assert border_gradient(inside, box) == 0


@pytest.mark.parametrize("right, down", [(0, 0), (4, -2), (-3, 5)])
def test_a_shifted_picture_is_found_there(right, down):
    box = FaceBox(64, 64, 192, 192)
    moved = np.roll(WOMAN[:256, :256], (down, right), axis=(0, 1))
    assert shift_between(moved, WOMAN[:256, :256], box) == pytest.approx((right, down), abs=1.0)
