from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.faces.search import DEFAULT_BATCH_SIZE, DEFAULT_STRIDE, find_faces, is_cut

FACE, ELSEWHERE = FaceBox(20, 30, 60, 90), FaceBox(120, 30, 160, 90)


def shifted(box: FaceBox, dx: float, dy: float = 0) -> FaceBox:
    return FaceBox(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


class Clip:
    """Grey thumbnails that carry their number in one pixel, and a detector that knows the faces in each."""

    def __init__(self, boxes, levels=None):
        self.faces = [[Detection(box, 0.95 + 0.001 * index) for box in found] for index, found in enumerate(boxes)]
        self.levels = levels or [90] * len(boxes)
        self.taken, self.batches = 0, []

    def __iter__(self):
        for index, level in enumerate(self.levels):
            self.taken += 1
            thumbnail = np.full((60, 80, 3), level, np.uint8)
            thumbnail[0, 0] = divmod(index, 256) + (0,)
            yield f"item {index}", thumbnail

    @staticmethod
    def number(thumbnail):
        return int(thumbnail[0, 0, 0]) * 256 + int(thumbnail[0, 0, 1])

    def detector(self, thumbnails):
        numbers = [self.number(thumbnail) for thumbnail in thumbnails]
        self.batches.append(numbers)
        return [self.faces[number] for number in numbers]

    def find(self, *args, **kwargs):
        result = list(find_faces(self, self.detector, *args, **kwargs))
        assert [item for item, _, _ in result] == [f"item {index}" for index in range(len(self.levels))]
        assert [self.number(thumbnail) for _, thumbnail, _ in result] == [*range(len(result))]
        return [found for _, _, found in result]

    @property
    def looked_at(self):
        return sorted(number for batch in self.batches for number in batch)


@given(length=st.integers(0, 40), stride=st.integers(1, 6), batch_size=st.integers(1, 5), speed=st.floats(-0.3, 0.3))
def test_a_face_on_a_straight_way_is_interpolated_exactly(length, stride, batch_size, speed):
    clip = Clip([[shifted(FACE, speed * index, 2 * speed * index)] for index in range(length)])
    found = clip.find(stride, batch_size)
    assert clip.looked_at == sorted({*range(0, length, stride), *([length - 1] if length else [])})
    assert all(1 <= len(batch) <= batch_size for batch in clip.batches)
    for index, faces in enumerate(found):
        assert len(faces) == 1
        assert astuple(faces[0].box) == pytest.approx(astuple(clip.faces[index][0].box), abs=1e-9)
        before = index if index in clip.looked_at else index - index % stride
        assert faces[0].score == clip.faces[before][0].score  # the lower one of both ends


videos = st.lists(
    st.tuples(
        st.lists(
            st.builds(shifted, st.sampled_from([FACE, ELSEWHERE]), st.integers(-9, 9), st.integers(-5, 5)), max_size=3
        ),
        st.sampled_from([90, 90, 90, 90, 160]),
        st.integers(1, 9),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(video=videos, stride=st.integers(1, 6), batch_size=st.integers(1, 5))
def test_what_is_not_calm_is_looked_at(video, stride, batch_size):
    """Against the rule written down for lists: whatever is not calm has the detector's own answer."""
    shots = [(boxes, level) for boxes, level, length in video for _ in range(length)]
    clip = Clip([boxes for boxes, _ in shots], [level for _, level in shots])
    found = clip.find(stride, batch_size)
    ends = sorted({*range(0, len(shots), stride), *([len(shots) - 1] if shots else [])})
    looked_at = set(ends)
    for first, last in zip(ends, ends[1:], strict=False):
        if not is_calm(shots[first : last + 1]):
            looked_at.update(range(first, last))
    assert clip.looked_at == sorted(looked_at)
    assert all(len(batch) <= batch_size for batch in clip.batches)
    for index, (faces, truth) in enumerate(zip(found, clip.faces, strict=True)):
        if index in looked_at:
            assert faces == truth


def is_calm(shots):
    (first, _), (last, _) = shots[0], shots[-1]
    if not first and not last:
        return True
    if len({level for _, level in shots}) > 1 or len(first) != len(last):
        return False
    partners = [[index for index, other in enumerate(last) if box.iou(other) >= 0.8] for box in first]
    return all(len(found) == 1 for found in partners) and len({found[0] for found in partners}) == len(first)


def test_two_faces_keep_their_partners_and_the_better_comes_first():
    clip = Clip([[FACE, ELSEWHERE], [], [], [], [ELSEWHERE, FACE]])
    clip.faces[0] = [Detection(FACE, 0.99), Detection(ELSEWHERE, 0.96)]
    clip.faces[4] = [Detection(shifted(ELSEWHERE, 4), 0.99), Detection(shifted(FACE, -4), 0.95)]
    found = clip.find(4)
    assert clip.looked_at == [0, 4]
    assert found[1] == [Detection(shifted(ELSEWHERE, 1), 0.96), Detection(shifted(FACE, -1), 0.95)]


def test_a_lost_face_is_found_again_to_the_frame():
    clip = Clip([[FACE]] * 13 + [[]] * 30 + [[FACE]] * 17)
    assert [len(faces) for faces in clip.find()] == [1] * 13 + [0] * 30 + [1] * 17
    assert len(clip.batches[0]) == 1 and len(clip.looked_at) == 16 + 2 * 3


def test_a_cut_between_two_looks_is_placed_to_the_frame():
    clip = Clip([[FACE]] * 10 + [[shifted(FACE, 1)]] * 10, levels=[90] * 10 + [160] * 10)
    clip.find()
    assert {8, 9, 10, 11, 12} <= set(clip.looked_at) and not {5, 6, 7, 13, 14, 15} & set(clip.looked_at)


def test_a_still_video_needs_a_quarter_of_the_looks():
    clip = Clip([[FACE]] * 400)
    clip.find()
    assert len(clip.looked_at) == 101


def test_no_more_frames_are_held_than_promised():
    clip = Clip([[FACE]] * 100)
    ahead = [clip.taken - 1 - index for index, _ in enumerate(find_faces(clip, clip.detector))]
    assert max(ahead) == DEFAULT_STRIDE * DEFAULT_BATCH_SIZE - 1


def test_a_talking_head_is_met_within_a_detectors_scatter():
    """A nod of 8 % of the width, a turn of 15 %, and a detector's own scatter; errors in % of the width of 100."""
    rng, times = np.random.default_rng(0), np.arange(400)
    x = 15 * np.sin(2 * np.pi * 0.5 * times / 25)
    y = 8 * np.sin(2 * np.pi * 1 * times / 25)
    boxes = [shifted(FaceBox(100, 100, 200, 225), *place) for place in np.stack([x, y], 1).tolist()]
    noisy = [[shifted(box, *rng.normal(0, 1, 2)).padded(*rng.normal(0, 1.25, 4))] for box in boxes]
    clip = Clip(noisy)
    found = clip.find()
    errors = [
        (face.x1 + face.x2 - box.x1 - box.x2, face.y1 + face.y2 - box.y1 - box.y2)
        for face, box in zip((faces[0].box for faces in found), boxes, strict=True)
    ]
    errors = np.array(errors) / 2
    assert np.std(errors, axis=0).max() < 1.6 and np.abs(errors).max() < 5
    assert len(clip.looked_at) < 200


@pytest.mark.parametrize("name", ["stride", "batch_size"])
def test_wrong_numbers_are_refused_at_once(name):
    with pytest.raises(ValueError, match=f"`{name}` must be 1 or more, got 0"):
        find_faces([], lambda thumbnails: [], **{name: 0})


# Cuts


@pytest.fixture(scope="module")
def photos():
    """Public images, 640 x 480 px."""
    images = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.immunohistochemistry())
    return [np.asarray(Image.fromarray(image[..., :3]).resize((640, 480))) for image in images]


def view(photo, x, y, width=320, height=180):
    return photo[y : y + height, x : x + width]


@pytest.mark.parametrize("shape", [(1080, 1920, 3), (5, 3, 3)])
def test_cuts_are_seen_in_frames_of_any_size_and_noise_is_none(shape):
    rng = np.random.default_rng(0)
    before = rng.integers(60, 180, shape, dtype=np.uint8)
    assert is_cut(before, before + np.uint8(40))
    noisy = (before + rng.normal(0, 5, shape)).clip(0, 255).astype(np.uint8)
    assert not is_cut(before, noisy)


def test_every_cut_from_photo_to_photo_is_seen(photos):
    parts = [[view(photo, x, y) for x in (0, 320) for y in (0, 250)] for photo in photos]
    pairs = [(a, b) for one in range(5) for other in range(one) for a in parts[one] for b in parts[other]]
    assert all(is_cut(a, b) and is_cut(b, a) for a, b in pairs)


@pytest.mark.parametrize("speed", [1, 4, 8, 16, 32, 48])
def test_pans_are_no_cuts_however_fast(photos, speed):
    """In pixels of a image 320 wide: up to its whole width in seven frames."""
    for photo in photos:
        for x in range(0, 320 - speed, 40):
            assert not is_cut(view(photo, x, 60), view(photo, x + speed, 60 + speed // 4))
            assert not is_cut(view(photo, x + speed, 60), view(photo, x, 60))


def test_zooms_and_flicker_are_no_cuts(photos):
    for photo in photos:
        closer = np.asarray(Image.fromarray(photo).resize((672, 504)))[12:492, 16:656]
        assert not is_cut(photo, closer)
        assert not is_cut(photo, (photo * 0.94).astype(np.uint8))


def test_a_hand_before_the_camera_is_no_cut(photos):
    before, after = view(photos[1], 100, 100), np.array(view(photos[1], 100, 100))
    after[40:, 100:190] = (230, 180, 150)
    assert not is_cut(before, after)


def test_cuts_between_dark_frames_are_seen_and_their_noise_is_none(photos):
    rng = np.random.default_rng(0)
    dark = [(view(photo, 100, 100) * 0.3).astype(np.uint8) for photo in photos]
    for before in dark:
        noisy = (before + rng.normal(0, 6, before.shape)).clip(0, 255).astype(np.uint8)
        assert not is_cut(before, noisy)
    assert sum(is_cut(a, b) for i, a in enumerate(dark) for b in dark[:i]) >= 9  # of 10
