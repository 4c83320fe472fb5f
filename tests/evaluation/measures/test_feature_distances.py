import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from diff2lip_diffusers.evaluation.measures.feature_distances import Moments, frechet_distance, kernel_distance

DIMENSIONS = 12


class Features(torch.nn.Module):
    """Features as they are, for metrics that expect a network."""

    num_features = DIMENSIONS

    def forward(self, features):
        return features


@pytest.fixture
def sets():
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(DIMENSIONS, DIMENSIONS))
    return draw.normal(size=(60, DIMENSIONS)) @ mixing, 0.5 + draw.normal(size=(50, DIMENSIONS)) ** 2


def moments(features):
    found = Moments(features.shape[1])
    found.add(features)
    return found


def torchmetrics_value(metric, *sets):
    for real, features in zip((True, False), sets, strict=True):
        metric.update(torch.from_numpy(features), real=real)
    return metric.compute()


def test_moments_of_parts_are_numpys_of_all(sets):
    found = Moments(DIMENSIONS)
    for part in np.split(sets[0], [1, 1, 20, 53]):
        found.add(part)
    np.testing.assert_allclose(found.mean, sets[0].mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(sets[0], rowvar=False), atol=1e-12)


def test_the_frechet_distance_is_torchmetrics(sets):
    theirs = torchmetrics_value(FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64), *sets)
    assert frechet_distance(*map(moments, sets)) == pytest.approx(float(theirs), rel=1e-9)


def test_the_frechet_distance_is_the_formula_with_scipys_root(sets):
    one, other = (np.cov(part, rowvar=False) for part in sets)
    step = sets[0].mean(axis=0) - sets[1].mean(axis=0)
    expected = step @ step + np.trace(one + other - 2 * scipy.linalg.sqrtm(one @ other).real)
    assert frechet_distance(*map(moments, sets)) == pytest.approx(expected, rel=1e-9)


def test_fewer_vectors_than_dimensions_add_no_rounding_errors():
    features = np.random.default_rng(1).normal(size=(8, 300)).astype(np.float32)
    assert frechet_distance(moments(features), moments(features)) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(moments(features), moments(features + 0.5)) == pytest.approx(300 * 0.25, rel=1e-6)


def test_the_kernel_distance_is_torchmetrics(sets):
    one, other = sets[0][:50].astype(np.float32), sets[1].astype(np.float32)
    with warnings.catch_warnings(action="ignore"):
        metric = KernelInceptionDistance(feature=Features(), subsets=1, subset_size=50)
    theirs = torchmetrics_value(metric, one, other)[0]
    assert kernel_distance(one.__getitem__, other.__getitem__, 50, 50) == pytest.approx(float(theirs), rel=1e-5)


def test_the_kernel_distance_of_equal_distributions_is_nearly_0():
    draw = np.random.default_rng(2)
    one, other = draw.normal(size=(2, 200, DIMENSIONS)).astype(np.float32)
    near = kernel_distance(one.__getitem__, other.__getitem__, 200, 200, subset_size=50)
    far = kernel_distance(one.__getitem__, (other + 1).__getitem__, 200, 200, subset_size=50)
    assert abs(near) < 0.1 < 1 < far


def test_one_vector_is_too_few(sets):
    single = sets[0][:1]
    with pytest.raises(ValueError, match="`one` has 1 and `other` 50 vectors"):
        frechet_distance(moments(single), moments(sets[1]))
    with pytest.raises(ValueError, match="`count` is 1 and `other_count` 50"):
        kernel_distance(single.__getitem__, sets[1].__getitem__, 1, 50)
