"""Correlation and lag of two curves."""

import numpy as np
import pytest

from diff2lip_diffusers.evaluation.agreement import agreement

CURVE = np.random.default_rng(0).standard_normal(60)


@pytest.mark.parametrize("lag", [-3, -1, 0, 1, 4])
def test_a_curve_that_comes_later_has_that_lag(lag):
    later = np.roll(CURVE, lag)
    assert agreement(later, CURVE).lag_frames == lag


def test_correlation_is_pearsons():
    other = CURVE + np.random.default_rng(1).standard_normal(60)
    assert agreement(3 - 2 * other, CURVE).correlation == pytest.approx(-np.corrcoef(other, CURVE)[0, 1])


def test_a_curve_that_does_not_move_agrees_with_nothing():
    assert agreement(np.full(60, 0.3), CURVE).correlation == 0


@pytest.mark.parametrize("measured", [CURVE[:-1], CURVE[:5]])
def test_curves_that_cannot_be_compared_are_refused(measured):
    with pytest.raises(ValueError, match="frames, expected two of one length"):
        agreement(measured, CURVE if len(measured) > 5 else CURVE[:5])
