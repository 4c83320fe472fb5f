import cv2
import numpy as np
import pytest
import skimage.data

from diff2lip_diffusers.detail.blur import BlurGauge, energy_curve, noise_variance
from diff2lip_diffusers.detail.luma import blurred

FACE = cv2.resize(skimage.data.astronaut()[60:210, 150:300], (128, 128), interpolation=cv2.INTER_AREA)
LUMA = FACE.mean(axis=2).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.0, 0.6, 1.0, 1.6])
@pytest.mark.parametrize("noise", [0, 2])
def test_the_blur_of_a_noisy_picture_is_found(sigma, noise):
    random = np.random.default_rng(0)
    gauge = BlurGauge()
    for _ in range(3):
        gauge.add(blurred(LUMA, sigma) + random.normal(0, noise, LUMA.shape).astype(np.float32), [energy_curve(LUMA)])
    assert abs(gauge.sigma() - sigma) <= 0.25


@pytest.mark.parametrize("noise", [1, 2, 4])
def test_noise_is_found_where_it_is_flat(noise):
    flat = np.random.default_rng(0).normal(100, noise, (60, 90)).astype(np.float32)
    assert 0.6 * noise**2 < noise_variance(flat) < 1.2 * noise**2
