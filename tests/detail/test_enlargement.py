import numpy as np
import pytest
from PIL import Image

from diff2lip_diffusers.detail.enlargement import cubic_weights, enlarged


@pytest.mark.parametrize("b", [0.0, 0.3, 0.6])
@pytest.mark.parametrize(("size", "new_size"), [(16, 32), (64, 320), (32, 20)])
def test_weights_keep_ramps_straight(size, new_size, b):
    weights = cubic_weights(size, new_size, b)
    ramp = (np.arange(size) + 0.5) / size
    inner = slice(new_size // 4, -(new_size // 4))
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose((weights @ ramp)[inner], ((np.arange(new_size) + 0.5) / new_size)[inner], atol=1e-3)


def test_catmull_rom_is_what_pillow_calls_bicubic():
    image = np.random.default_rng(0).uniform(0, 255, (24, 24)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((72, 72), Image.Resampling.BICUBIC))
    ours = enlarged(np.dstack([image] * 3), 72)
    np.testing.assert_allclose(ours[8:-8, 8:-8, 1], expected[8:-8, 8:-8], atol=0.01)  # Pillow cuts the kernel at edges


def test_rows_from_one_on():
    image = np.random.default_rng(0).uniform(0, 255, (16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(enlarged(image, 32, 0.3, 12), enlarged(image, 32, 0.3)[12:])
