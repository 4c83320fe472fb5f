import numpy as np
import pytest
from scipy import stats

from diff2lip_diffusers.evaluation.statistics import compare, summarize

VALUES = np.random.default_rng(3).gamma(2.0, 1.5, 40)


def test_the_interval_is_that_of_scipys_bootstrap():
    ours = summarize(VALUES)
    theirs = stats.bootstrap((VALUES,), np.mean, method="percentile", n_resamples=10_000, rng=1).confidence_interval
    assert ours.mean == pytest.approx(VALUES.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.02)
    assert (ours.median, ours.count) == (np.median(VALUES), 40)


@pytest.mark.parametrize("count", [6, 12, 30])
def test_the_paired_test_is_scipys_permutation_test(count):
    first, second = VALUES[:count], VALUES[-count:] * 0.8
    ours = compare(first, second)
    theirs = stats.permutation_test(
        (first, second), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=10_000, rng=0
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0 if count <= 12 else 0.02)
    assert ours.mean == pytest.approx(np.mean(first - second))
    assert ours.low <= ours.mean <= ours.high


def test_equal_systems_do_not_differ():
    found = compare(VALUES, VALUES)
    assert (found.mean, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_one_clip_has_an_interval_of_one_point():
    found = summarize([3.0])
    assert (found.mean, found.low, found.high, found.count) == (3, 3, 3, 1)


def test_numbers_of_other_clips_cannot_be_compared():
    with pytest.raises(ValueError, match="`first` has 2 and `second` 3 clips"):
        compare([1, 2], [1, 2, 3])
