"""MFCC: recorded coefficients, and what they are of silence, short speech and long speech."""

import math

import numpy as np
import pytest
from helpers.recorded_syncnet2016 import golden, recorded_audio

from diff2lip_diffusers.evaluation.syncnet2016 import mfcc as mfcc_module
from diff2lip_diffusers.evaluation.syncnet2016.mfcc import cosine_matrix, mel_filters, mfcc


@pytest.mark.parametrize(("name", "samples"), [("a", 16000), ("b", 32300)])
def test_equals_the_recorded_coefficients(name, samples):
    np.testing.assert_allclose(mfcc(recorded_audio(samples)).T, golden()[f"{name}_mfcc"], rtol=0, atol=1e-5)


def test_blocks_do_not_show(monkeypatch):
    whole = mfcc(recorded_audio(16000))
    monkeypatch.setattr(mfcc_module, "BLOCK_STEPS", 7)
    # Sums over a block may be rounded in another order.
    np.testing.assert_allclose(mfcc(recorded_audio(16000)), whole, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(("samples", "steps"), [(1, 1), (400, 1), (401, 2), (560, 2), (561, 3), (16000, 99)])
def test_number_of_steps(samples, steps):
    assert mfcc(np.ones(samples, np.int16)).shape == (steps, 13)


def test_silence_has_the_energy_of_the_smallest_number():
    found = mfcc(np.zeros(400, np.int16))
    assert found[0, 0] == pytest.approx(math.log(2.220446e-16))
    np.testing.assert_allclose(found[0, 1:], 0, atol=1e-10)


def test_filters_reach_up_to_8000_hz_and_peak_at_one():
    filters = mel_filters()
    assert filters.shape == (26, 257)
    np.testing.assert_array_equal(filters.max(axis=1), 1)
    assert filters[-1, 255] > 0 and filters[-1, 256] == 0


def test_cosine_matrix_is_scipys_dct():
    scipy_fft = pytest.importorskip("scipy.fft")
    lifter = 1 + 11 * np.sin(np.pi * np.arange(13) / 22)
    expected = scipy_fft.dct(np.eye(26), type=2, norm="ortho", axis=1)[:, :13] * lifter
    np.testing.assert_allclose(cosine_matrix(), expected, atol=1e-12)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 400))])
def test_refuses_other_shapes(samples):
    with pytest.raises(ValueError, match="`samples` has shape"):
        mfcc(samples)
