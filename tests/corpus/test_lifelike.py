"""Lifelike people: heads in the round whose mouths show the numbers that they are drawn with."""

import dataclasses
import itertools

import numpy as np
import pytest

from diff2lip_diffusers.corpus.hair import CUTS
from diff2lip_diffusers.corpus.head import render_frame, render_mouth_mask
from diff2lip_diffusers.corpus.head_view import face_box
from diff2lip_diffusers.corpus.identity import BEARDS, PLAIN_SHARE, draw_identity, look_of
from diff2lip_diffusers.corpus.lifelike.camera import Camera, camera_of, film
from diff2lip_diffusers.corpus.lifelike.cover_motion import draw_covers
from diff2lip_diffusers.corpus.lifelike.frame import mouth_is_covered
from diff2lip_diffusers.corpus.lifelike.framing import MAX_PITCH_DEG, MAX_ROLL_DEG, MAX_YAW_DEG, draw_poses
from diff2lip_diffusers.corpus.lifelike.head_rays import LifeView
from diff2lip_diffusers.corpus.lifelike.traits import COLLARS, ROOMS
from diff2lip_diffusers.corpus.motion import Cover, Pose
from diff2lip_diffusers.corpus.mouth import Mouth

SIZE = 96
EVA = draw_identity(11, "life")
OPEN, CLOSED = Mouth(opening=1, jaw=1), Mouth()
FAR = [Pose(yaw=35, pitch=12, dx=-0.1), Pose(yaw=-35, pitch=-20, roll=20, dx=0.1), Pose(pitch=20, roll=-20, dy=-0.1)]


def wearing(**traits):
    """Eva with other traits, or another hair or beard."""
    own = {name: traits.pop(name) for name in ("hair_style", "beard", "glasses") if name in traits}
    return dataclasses.replace(EVA, **own, traits=dataclasses.replace(EVA.life, **traits))


def changed(first, second) -> np.ndarray:
    """Where two pictures differ visibly, (H, W) bool."""
    return np.abs(first.astype(int) - second).max(axis=2) > 8


# Looks


def test_looks_are_shared_out_as_documented():
    plain = [look_of(seed, "mixed") == "plain" for seed in range(2000)]
    assert abs(np.mean(plain) - PLAIN_SHARE) < 0.03
    assert {look_of(seed, "life") for seed in range(9)} == {"life"}
    with pytest.raises(ValueError, match="`look` is 'real', expected one of plain, life, mixed"):
        look_of(1, "real")


def test_same_seed_same_person_and_picture():
    assert draw_identity(5, "life") == draw_identity(5, "life") != draw_identity(5)
    first = render_frame(EVA, FAR[0], OPEN, SIZE)
    render_frame(draw_identity(3, "life"), FAR[1], CLOSED, SIZE)
    assert np.array_equal(render_frame(EVA, FAR[0], OPEN, SIZE), first)


def test_every_look_can_be_drawn_turned():
    styles = (*CUTS, "bald")
    for index in range(max(len(styles), len(ROOMS))):
        pick = {"hair_style": styles, "beard": BEARDS, "collar": COLLARS, "room": ROOMS}
        look = {name: choices[index % len(choices)] for name, choices in pick.items()}
        person = wearing(**look, locks="cheeks", beard_length=1.0)
        assert render_frame(person, FAR[index % 3], OPEN, 48).std() > 8, look


@pytest.mark.parametrize("pose", [Pose(dx=0.9), Pose(dy=-1.5), Pose(scale=2.5), Pose(scale=0.3, roll=20)])
def test_a_head_may_leave_the_picture(pose):
    assert render_frame(EVA, pose, OPEN, 48).shape == (48, 48, 3)
    assert render_mouth_mask(EVA, pose, OPEN, 48).shape == (48, 48)


# The mouth


@pytest.mark.parametrize("pose", [Pose(), *FAR], ids=["still", "right", "left", "down"])
def test_the_mouth_opens_step_by_step_and_shows_where_the_mask_says(pose):
    areas = [render_mouth_mask(EVA, pose, Mouth(opening, jaw=opening), SIZE).sum() for opening in np.linspace(0, 1, 6)]
    assert areas[0] == 0 and (np.diff(areas) > 0).all()
    mask = render_mouth_mask(EVA, pose, OPEN, SIZE)
    dark = render_frame(EVA, pose, OPEN, SIZE).mean(axis=2)
    assert np.median(dark[mask > 0.99]) < 0.6 * np.median(
        render_frame(EVA, pose, CLOSED, SIZE).mean(axis=2)[mask > 0.99]
    )


@pytest.mark.parametrize("pose", [Pose(), *FAR], ids=["still", "right", "left", "down"])
def test_the_box_holds_all_that_the_mouth_moves(pose):
    differ = changed(*(render_frame(EVA, pose, mouth, SIZE) for mouth in (OPEN, CLOSED)))
    box = face_box(EVA, pose, SIZE).clipped(SIZE, SIZE).rounded()
    lower = differ[(box.y1 + box.y2) // 2 : box.y2, box.x1 : box.x2].sum()
    assert differ.sum() > 100 and lower >= 0.93 * differ.sum()


def test_a_turned_head_hides_its_far_side():
    view = LifeView(EVA, Pose(yaw=35), 192)
    left, middle, right = (view.to_pixel(u, 0.1)[0] for u in (-0.25, 0.0, 0.25))
    assert middle - left > 1.5 * (right - middle)


# Poses


def test_poses_stay_in_range_and_use_it():
    times_s = np.arange(0, 6, 0.5)
    poses = [pose for seed in range(40) for pose in draw_poses(draw_identity(seed, "life"), times_s)]
    for name, most in (("yaw", MAX_YAW_DEG), ("pitch", MAX_PITCH_DEG), ("roll", MAX_ROLL_DEG)):
        values = np.array([getattr(pose, name) for pose in poses])
        assert np.abs(values).max() <= most and np.ptp(values) > 1.3 * most


def test_a_moment_does_not_depend_on_the_others_asked_for():
    for seed in range(40):
        identity = draw_identity(seed, "life")
        alone, amid = draw_poses(identity, [2.0])[0], draw_poses(identity, np.arange(0, 4, 0.5))[4]
        assert amid.cover == alone.cover and amid.yaw == pytest.approx(alone.yaw)


# What is before the face


def test_a_third_of_the_people_have_something_before_them():
    present = [any(draw_covers(seed, np.arange(0, 5, 0.5))) for seed in range(300)]
    assert 0.25 < np.mean(present) < 0.4


@pytest.mark.parametrize("kind", ["hand", "microphone", "stand"])
def test_only_what_is_at_the_mouth_covers_it(kind):
    at_mouth = Pose(cover=Cover(kind, 0.0, -0.02, 10.0, 1.0))
    below = Pose(cover=Cover(kind, 0.1, 0.45, 10.0, 1.0))
    assert mouth_is_covered(EVA, at_mouth) and not mouth_is_covered(EVA, below) and not mouth_is_covered(EVA, Pose())
    mask = render_mouth_mask(EVA, at_mouth, OPEN, 160) > 0.5
    clear, hidden = (render_frame(EVA, pose, OPEN, 160) for pose in (Pose(), at_mouth))
    assert changed(clear, hidden)[mask].mean() > 0.4


# The camera


def test_a_plain_person_is_filmed_as_drawn():
    identity = draw_identity(7)
    poses = draw_poses(identity, [0.0])
    assert camera_of(identity) == Camera()
    (frame,) = film(identity, poses, [OPEN], 64)
    assert np.array_equal(frame, render_frame(identity, poses[0], OPEN, 64))


def test_noise_is_as_strong_as_the_camera_says_and_the_same_every_time():
    seed = next(s for s in itertools.count() if camera_of(draw_identity(s, "life")).noise > 3)
    identity = draw_identity(seed, "life")
    camera = camera_of(identity)
    mouths = [CLOSED] * 2
    poses = [Pose(scale=0.9)] * 2
    first, second = (np.stack(list(film(identity, poses, mouths, 96))).astype(float) for _ in range(2))
    assert np.array_equal(first, second)
    spread = (first[0] - first[1]).std() / np.sqrt(2)
    assert 0.5 * camera.noise < spread < 1.5 * camera.noise


def test_fast_movements_are_blurred_and_rest_is_sharp():
    seed = next(s for s in itertools.count() if camera_of(draw_identity(s, "life")).exposure)
    identity = draw_identity(seed, "life")
    still, moving = ([Pose(), Pose(dx=way)] for way in (0.0, 0.06))
    sharp, blurred = (next(film(identity, poses, [CLOSED] * 2, 96)).astype(float) for poses in (still, moving))
    edges = [np.abs(np.diff(picture, axis=1)).mean() for picture in (sharp, blurred)]
    assert edges[1] < 0.9 * edges[0]
