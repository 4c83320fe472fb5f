"""The opening read off the pixels of true pictures follows the number they were drawn with."""

import numpy as np
import pytest

from diff2lip_diffusers.corpus.identity import draw_identity
from diff2lip_diffusers.corpus.motion import draw_motion
from diff2lip_diffusers.evaluation.agreement import agreement
from diff2lip_diffusers.evaluation.drawn_clips import draw_clip, draw_crops
from diff2lip_diffusers.evaluation.mouth_opening import mouth_opening, opening_zones

TIMES_S = np.arange(24) / 25


def mouths(rng) -> np.ndarray:
    """Openings that come and go, everything else at random: what the measure must not take for an opening."""
    mouth = rng.uniform(0.2, 0.8, (len(TIMES_S), 6))
    mouth[:, 0] = 0.4 - 0.4 * np.cos(2 * np.pi * 3 * TIMES_S)
    return mouth


@pytest.mark.parametrize("seed", [1, 8, 23, 42])
def test_follows_the_true_opening(seed):
    identity, poses = draw_identity(seed), draw_motion(seed, TIMES_S)
    mouth = mouths(np.random.default_rng(seed))
    read = mouth_opening(draw_crops(identity, poses, mouth, 64), opening_zones(identity, poses, 64), identity)
    assert agreement(read, mouth[:, 0]).correlation > 0.9


def test_does_not_follow_what_is_not_there():
    identity, poses = draw_identity(8), draw_motion(8, TIMES_S)
    mouth = mouths(np.random.default_rng(8))
    shut = mouth.copy()
    shut[:, 0] = 0
    read = mouth_opening(draw_crops(identity, poses, shut, 64), opening_zones(identity, poses, 64), identity)
    assert abs(agreement(read, mouth[:, 0]).correlation) < 0.5
    opened = mouth_opening(draw_crops(identity, poses, mouth, 64), opening_zones(identity, poses, 64), identity)
    assert read.std() < 0.35 * opened.std()


def test_clips_of_the_training_split_are_refused():
    with pytest.raises(ValueError, match="expected an odd number"):
        draw_clip(4, 64, 10)
