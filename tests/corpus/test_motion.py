from dataclasses import astuple, fields

import numpy as np
import pytest

from diff2lip_diffusers.corpus.motion import MAX_PITCH_DEG, MAX_ROLL_DEG, MAX_YAW_DEG, Pose, draw_motion

FPS = 25
MINUTE_S = np.arange(60 * FPS) / FPS
NAMES = [field.name for field in fields(Pose)]


def column(poses, name) -> np.ndarray:
    return np.array([getattr(pose, name) for pose in poses])


@pytest.fixture(scope="module")
def minutes() -> list[list[Pose]]:
    return [draw_motion(seed, MINUTE_S) for seed in range(12)]


def test_same_seed_same_motion():
    assert draw_motion(5, MINUTE_S[:50]) == draw_motion(5, MINUTE_S[:50])
    assert draw_motion(5, MINUTE_S[:50]) != draw_motion(6, MINUTE_S[:50])


def test_a_moment_does_not_depend_on_the_others_asked_for():
    alone = draw_motion(3, [2.0])[0]
    for times in ([2.0, 50.0], [50.0, 2.0], MINUTE_S):
        amid = draw_motion(3, times)[list(times).index(2.0)]
        assert astuple(amid) == pytest.approx(astuple(alone), abs=1e-12)


def test_finer_times_lie_between_coarser_ones(minutes):
    fine = draw_motion(0, np.arange(60 * 4 * FPS) / (4 * FPS))
    assert np.allclose(column(fine[::4], "yaw"), column(minutes[0], "yaw"))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("yaw", -MAX_YAW_DEG, MAX_YAW_DEG), ("pitch", -MAX_PITCH_DEG, MAX_PITCH_DEG),
        ("roll", -MAX_ROLL_DEG, MAX_ROLL_DEG), ("dx", -0.04, 0.04), ("dy", -0.03, 0.03), ("scale", 0.95, 1.05),
        ("blink", 0, 1), ("brow", 0, 1), ("gaze_x", -1, 1), ("gaze_y", -1, 1),
    ],
)  # fmt: skip
def test_stays_in_range_and_uses_it(minutes, name, low, high):
    values = np.concatenate([column(poses, name) for poses in minutes])
    assert values.min() >= low and values.max() <= high
    assert np.ptp(values) > 0.4 * (high - low)


@pytest.mark.parametrize(
    ("name", "most"), [("yaw", 5.5), ("pitch", 2.2), ("roll", 2.2), ("dx", 0.01), ("dy", 0.006), ("scale", 0.012)]
)
def test_the_head_never_jumps(minutes, name, most):
    for poses in minutes:
        assert np.abs(np.diff(column(poses, name))).max() < most


def test_there_are_rests_and_turns(minutes):
    for poses in minutes:
        still = np.abs(np.diff(column(poses, "yaw"))) < 1e-9
        assert 0.2 < still.mean() < 0.95


def test_blinks_close_the_lids_for_a_moment_every_few_seconds(minutes):
    for poses in minutes:
        closed = column(poses, "blink") > 0.7
        blinks = np.count_nonzero(np.diff(closed.astype(int)) == 1)
        assert 8 <= blinks <= 40
        assert closed.mean() < 0.15


def test_without_liveliness_only_face_and_eyes_move():
    poses = draw_motion(4, MINUTE_S, liveliness=0)
    for name in ("yaw", "pitch", "roll", "dx", "dy"):
        assert not column(poses, name).any()
    assert (column(poses, "scale") == 1).all()
    assert column(poses, "blink").max() > 0.7


def test_no_times_no_poses():
    assert draw_motion(0, []) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, [0.0]), "seed must be 0 or greater, got -1"),
        ((0, [-0.1]), "times_s must be 0 or later, got -0.1"),
        ((0, [0.0], 1.5), "liveliness must be from 0 to 1, got 1.5"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_motion(*arguments)
