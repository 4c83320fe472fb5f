import dataclasses
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diff2lip_diffusers.corpus.head import MIN_SIZE_PX, render_frame, render_mouth_mask
from diff2lip_diffusers.corpus.head_view import HeadView, Region, face_box
from diff2lip_diffusers.corpus.identity import BACKGROUNDS, BEARDS, COLLARS, GLASSES, HAIR_STYLES, draw_identity
from diff2lip_diffusers.corpus.motion import Pose, draw_motion
from diff2lip_diffusers.corpus.mouth import Mouth, check_mouth

SIZE = 128
STILL, TURNED = Pose(), Pose(yaw=17, pitch=-5, roll=6, dx=0.02, dy=-0.01, scale=1.03)
CLOSED, OPEN = Mouth(), Mouth(opening=1, jaw=1)
ANNA = draw_identity(2)


def frame(mouth=CLOSED, pose=STILL, identity=ANNA, size=SIZE) -> np.ndarray:
    return render_frame(identity, pose, mouth, size)


def area(mouth, pose=STILL, identity=ANNA, size=SIZE) -> float:
    return float(render_mouth_mask(identity, pose, mouth, size).sum())


def in_box(planes: np.ndarray, pose: Pose, identity=ANNA) -> np.ndarray:
    """What lies in the face box of a picture (H, W, ...)."""
    box = face_box(identity, pose, len(planes)).rounded()
    return planes[box.y1 : box.y2, box.x1 : box.x2]


def changed(first, second) -> np.ndarray:
    """Where two pictures differ visibly, (H, W) bool."""
    return np.abs(first.astype(int) - second).max(axis=2) > 8


# Pictures


def test_same_arguments_same_picture():
    first, second = frame(), frame()
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_a_picture_does_not_depend_on_what_was_drawn_before():
    first = frame()
    for seed in range(12):
        frame(OPEN, TURNED, draw_identity(seed), 48)
    assert np.array_equal(frame(), first)


def test_different_seeds_look_different():
    pictures = [frame(identity=draw_identity(seed), size=64).astype(int) for seed in range(12)]
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 5


@pytest.mark.parametrize(
    "look",
    [
        *({"hair_style": style} for style in HAIR_STYLES), *({"beard": beard} for beard in BEARDS),
        *({"glasses": glasses} for glasses in GLASSES), *({"collar": collar} for collar in COLLARS),
        *({"background_kind": kind} for kind in BACKGROUNDS),
    ],
    ids=lambda look: "-".join(*look.items()),
)  # fmt: skip
def test_every_look_can_be_drawn_in_every_pose(look):
    identity = dataclasses.replace(draw_identity(11), **look)
    for signs in itertools.product((-1, 1), repeat=3):
        yaw, pitch, roll = np.multiply(signs, (20, 8, 8))
        pose = Pose(yaw, pitch, roll, dx=0.03 * signs[0], dy=0.02 * signs[1], scale=1 + 0.035 * signs[2])
        assert frame(OPEN, pose, identity, 64).std() > 10


def test_looks_differ_where_they_should():
    plain = dataclasses.replace(ANNA, hair_style="bald", beard="none", glasses="none")
    for look in ({"hair_style": "long"}, {"beard": "full"}, {"glasses": "square"}):
        assert changed(frame(identity=plain), frame(identity=dataclasses.replace(plain, **look))).mean() > 0.01


def test_bright_light_saturates_and_does_not_wrap():
    lit = dataclasses.replace(ANNA, skin=(255, 250, 245), light_strength=3.0)
    picture = in_box(frame(identity=lit), STILL, lit)
    brightest = picture.reshape(-1, 3).min(axis=1) >= 250
    assert brightest.mean() > 0.1
    dimmer = in_box(frame(identity=dataclasses.replace(lit, light_strength=1.0)), STILL, lit)
    assert (picture.astype(int) >= dimmer.astype(int) - 3).all()


@pytest.mark.parametrize("pose", [Pose(dx=0.9), Pose(dy=0.9), Pose(dx=-0.9, roll=8), Pose(scale=2.5), Pose(scale=0.3)])
def test_a_head_may_leave_the_picture(pose):
    assert frame(OPEN, pose).shape == (SIZE, SIZE, 3)
    assert render_mouth_mask(ANNA, pose, OPEN, SIZE).shape == (SIZE, SIZE)


def test_sizes_show_the_same():
    large = torch.from_numpy(frame(OPEN, TURNED, size=256)).permute(2, 0, 1)[None].float()
    small = F.avg_pool2d(large, 2)[0].permute(1, 2, 0).numpy()
    assert np.abs(small - frame(OPEN, TURNED)).mean() < 3
    assert frame(size=MIN_SIZE_PX).shape == (MIN_SIZE_PX, MIN_SIZE_PX, 3)


def test_a_clip_flows_without_jumps():
    poses = draw_motion(3, np.arange(50) / 25)
    pictures = [frame(CLOSED, pose, size=64).astype(int) for pose in poses]
    steps = [np.abs(one - other).mean() for one, other in itertools.pairwise(pictures)]
    assert max(steps) < 12


def test_a_still_head_gives_still_pictures():
    assert np.array_equal(frame(pose=Pose(blink=0.0)), frame(pose=Pose(blink=0.0)))
    nudged = np.abs(frame(pose=Pose(yaw=0.01)).astype(int) - frame(pose=Pose(yaw=-0.01)))
    assert nudged.max() <= 12 and nudged.mean() < 0.2


# Mouth


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("pose", [STILL, TURNED], ids=["still", "turned"])
def test_interior_in_a_64_px_crop_follows_the_opening(seed, pose):
    identity, openings = draw_identity(seed), np.linspace(0, 1, 21)
    counts = []
    for opening in openings:
        mask = in_box(
            render_mouth_mask(identity, pose, Mouth(opening, 0.5, 0, 0.5, 0.3, opening), 256), pose, identity
        )
        crop = F.interpolate(torch.from_numpy(mask.copy())[None, None], (64, 64), mode="bilinear", antialias=True)
        counts.append(int((crop > 0.5).sum()))
    assert np.corrcoef(openings, counts)[0, 1] > 0.98
    assert counts[0] == 0 and counts[-1] > 90


def test_opening_grows_step_by_step():
    areas = [area(Mouth(opening=opening)) for opening in np.linspace(0, 1, 41)]
    assert areas[0] == 0
    assert (np.diff(areas) > 0).all()


@pytest.mark.parametrize("pose", [STILL, TURNED], ids=["still", "turned"])
def test_the_widest_opening_is_a_sixth_of_the_box(pose):
    rows = np.flatnonzero(render_mouth_mask(ANNA, pose, OPEN, 256).max(axis=1) > 0.5)
    assert 0.16 < len(rows) / face_box(ANNA, pose, 256).height < 0.18


def test_a_closed_mouth_shows_neither_teeth_nor_tongue():
    assert area(Mouth(0, 0.5, 0, 1, 1, 0)) == 0
    assert np.array_equal(frame(Mouth(teeth=1, tongue=1)), frame(Mouth()))


def test_the_mask_is_where_the_dark_is():
    mouth = Mouth(opening=0.8, jaw=0.8)
    mask = render_mouth_mask(ANNA, STILL, mouth, 256) > 0.99
    picture = frame(mouth, size=256).astype(float)
    assert np.median(picture[mask].mean(axis=1)) < 0.5 * np.mean(ANNA.lips)


@pytest.mark.parametrize(("part", "shade"), [("teeth", 150), ("tongue", 80)])
def test_teeth_and_tongue_brighten_the_open_mouth(part, shade):
    mask = render_mouth_mask(ANNA, STILL, Mouth(opening=0.6), 256) > 0.99
    without = frame(Mouth(opening=0.6), size=256)[mask].astype(float)
    shown = frame(Mouth(opening=0.6)._replace(**{part: 1}), size=256)[mask].astype(float)
    assert shown.mean() > without.mean() + 10
    assert (shown.max(axis=1) > shade).sum() > (without.max(axis=1) > shade).sum()


def columns(mouth) -> np.ndarray:
    return np.flatnonzero(render_mouth_mask(ANNA, STILL, mouth, 256).max(axis=0) > 0.5)


def test_corners_go_apart_with_width_and_together_with_rounding():
    widths = [len(columns(Mouth(0.5, width))) for width in (0, 0.25, 0.5, 0.75, 1)]
    rounds = [len(columns(Mouth(0.5, 0.5, rounding))) for rounding in (0, 0.5, 1)]
    assert (np.diff(widths) > 1).all() and (np.diff(rounds) < -3).all()


def test_the_jaw_takes_the_chin_down():
    """The neck's column below the chin: what is face there grows as the jaw falls."""
    x, y = HeadView(ANNA, STILL, 256).to_pixel(0, 0.53)
    differ = changed(frame(Mouth(jaw=1), size=256), frame(Mouth(jaw=0), size=256))
    assert differ[int(y) - 6 : int(y), int(x) - 10 : int(x) + 10].mean() > 0.5


@pytest.mark.parametrize("pose", [STILL, TURNED, Pose(yaw=-20, pitch=8, roll=-8)], ids=["still", "turned", "far"])
def test_the_box_holds_all_that_the_mouth_moves(pose):
    for seed in range(4):
        identity = draw_identity(seed)
        differ = changed(frame(OPEN, pose, identity, 256), frame(CLOSED, pose, identity, 256))
        box = face_box(identity, pose, 256).rounded()
        total = differ.sum()
        held = differ[box.y1 : box.y2, box.x1 : box.x2].sum()
        lower = differ[(box.y1 + box.y2) // 2 : box.y2, box.x1 : box.x2].sum()
        assert total > 500 and held >= 0.97 * total and lower >= 0.97 * total


@pytest.mark.parametrize("pose", [STILL, TURNED, Pose(yaw=-20, pitch=8, roll=-8)], ids=["still", "turned", "far"])
def test_the_mouth_lies_low_and_in_the_middle_of_the_box(pose):
    mask = render_mouth_mask(ANNA, pose, OPEN, 256)
    box = face_box(ANNA, pose, 256)
    y, x = (np.average(np.arange(256) + 0.5, weights=mask.sum(axis=axis)) for axis in (1, 0))
    assert 0.72 < (y - box.y1) / box.height < 0.81
    assert 0.44 < (x - box.x1) / box.width < 0.56


def test_the_box_fits_the_picture_and_keeps_its_shape():
    for pose in draw_motion(1, np.arange(200) / 10):
        box = face_box(ANNA, pose, 256)
        assert 0.8 <= box.width / box.height <= 1
        assert 0.58 < box.width / 256 < 0.65
        assert box.x1 >= 0 and box.y1 >= 0 and box.x2 <= 256 and box.y2 <= 256


def test_the_box_goes_with_the_head():
    here, there = face_box(ANNA, STILL, 256), face_box(ANNA, Pose(dx=0.05, dy=-0.02, scale=1.1), 256)
    assert there.height == pytest.approx(1.1 * here.height)
    assert (there.x1 + there.x2) / 2 == pytest.approx((here.x1 + here.x2) / 2 + 0.05 * 256)
    assert face_box(ANNA, Pose(yaw=15), 256).x1 > here.x1 + 5
    assert face_box(ANNA, STILL, 128).width == pytest.approx(here.width / 2)


@pytest.mark.parametrize(
    ("mouth", "message"),
    [
        ((0, 0, 0), "mouth must be the six numbers opening, width, .*, got 3"),
        ((1.2, 0.5, 0, 0, 0, 0), "opening must be from 0 to 1, got 1.2"),
        ((0, 0.5, 0, 0, float("nan"), 0), "tongue must be from 0 to 1, got nan"),
    ],
)
def test_bad_mouths_are_refused(mouth, message):
    for draw in (render_frame, render_mouth_mask):
        with pytest.raises(ValueError, match=message):
            draw(ANNA, STILL, mouth, SIZE)


def test_a_mouth_may_be_any_six_numbers():
    assert check_mouth(np.float32([0, 0.5, 1, 0, 1, 0])) == Mouth(0, 0.5, 1, 0, 1, 0)


def test_tiny_pictures_are_refused():
    with pytest.raises(ValueError, match="size_px must be 32 or greater, got 8"):
        frame(size=8)


# Eyes


def around(pose, u, v, reach: tuple[int, int, int, int]) -> np.ndarray:
    """Brightness of the pixels from (x, y) - reach[:2] to (x, y) + reach[2:] at a place on the head."""
    x, y = HeadView(ANNA, pose, 256).to_pixel(u, v)
    region = Region(x - reach[0], y - reach[1], x + reach[2], y + reach[3], 256)
    return region.of(frame(pose=pose, size=256).transpose(2, 0, 1)).astype(float).mean(axis=0)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("pose", [STILL, TURNED], ids=["still", "turned"])
def test_a_blink_closes_the_eyes(side, pose):
    darkest = [
        around(dataclasses.replace(pose, blink=blink), side * 0.168, -0.07, (3, 3, 3, 1)).min() for blink in (0, 1)
    ]
    assert darkest[0] < 60 and darkest[1] > 90  # the pupil, and the lid before it


def test_eyes_follow_the_gaze():
    def dark_x(gaze):
        dark = 255 - around(Pose(gaze_x=gaze), 0.17, -0.055, (10, 5, 10, 7))
        return np.average(np.arange(dark.shape[1]), weights=dark.sum(axis=0) ** 4)

    assert dark_x(-1) + 2 < dark_x(0) < dark_x(1) - 2


def test_brows_rise():
    def brow_y(brow):
        dark = 255 - around(Pose(brow=brow), 0.17, -0.17, (12, 14, 12, 6))
        return np.average(np.arange(len(dark)), weights=dark.mean(axis=1) ** 4)

    assert brow_y(1) < brow_y(0) - 1
