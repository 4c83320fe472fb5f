from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.faces import FaceBox
from diff2lip_diffusers.paste import FEATHER_FRACTION, crop_face, paste_box, paste_painted, resize_image

RECORDED = np.load(Path(__file__).parent / "data" / "pipeline.npz")
MODES = ("cross", "reconstruction", "random", "voxceleb2")
PADS, FRAME_PX = (0, 6, 2, 2), 216
FACE, ELSEWHERE = FaceBox(20, 30, 60, 90), FaceBox(120, 30, 160, 90)

edges = st.integers(-40, 80)
boxes = st.builds(FaceBox, edges, edges, edges, edges)
whole_boxes = st.builds(
    lambda x, y, width, height: FaceBox(x, y, x + width, y + height),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 60),
    st.integers(1, 60),
)
# Small shifts of one face, a second face elsewhere, and gaps.
jittered = st.builds(
    lambda face, dx, dy: FaceBox(face.x1 + dx, face.y1 + dy, face.x2 + dx, face.y2 + dy),
    st.sampled_from([FACE, ELSEWHERE]),
    st.integers(-12, 12),
    st.integers(-12, 12),
)
tracks = st.lists(st.one_of(st.none(), jittered, jittered, jittered), max_size=40)


def stream(track):
    """Pairs whose "frame" is its own number."""
    return enumerate(track)


def boxes_of(result, length):
    """The boxes, after a look at lengths and order."""
    numbers, result = zip(*result, strict=True) if length else ((), ())
    assert numbers == tuple(range(length))
    return list(result)


def shifted(box: FaceBox, dx: float, dy: float = 0) -> FaceBox:
    return FaceBox(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


def recorded_boxes(mode: str) -> list[FaceBox]:
    return [FaceBox(x1, y1, x2, y2) for y1, y2, x1, x2 in RECORDED[f"{mode}.boxes_y1y2x1x2"].tolist()]


def kept_indices(mode: str) -> list[int]:
    """The numbers of the frames in `output_frames`."""
    return RECORDED["output_frame_indices"].tolist()[: len(RECORDED[f"{mode}.output_frames"])]


# Cropping


@pytest.mark.parametrize("mode", MODES)
def test_crops_are_those_of_the_original(mode):
    crops = RECORDED[f"{mode}.crops"].astype(int)
    for frame, box, crop in zip(RECORDED["frames"], recorded_boxes(mode), crops, strict=True):
        assert np.abs(crop_face(frame, box, 64).astype(int) - crop).max() <= 1


def test_a_crop_in_its_own_size_is_the_picture_itself():
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop_face(frame, FaceBox(11, 7, 43, 39), 32), frame[7:39, 11:43])


def test_cropping_takes_flipped_and_read_only_pictures():
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    frame.flags.writeable = False
    flipped = crop_face(frame[:, ::-1], FaceBox(10, 10, 40, 40), 24)
    # What leaves the frame at x enters the flipped one at 70 - x.
    np.testing.assert_array_equal(flipped[:, ::-1], crop_face(frame, FaceBox(30, 10, 60, 40), 24))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255))
def test_a_flat_picture_stays_flat_in_any_size(width, height, level):
    image = np.full((5, 3, 3), level, np.uint8)
    np.testing.assert_array_equal(resize_image(image, width, height), np.full((height, width, 3), level, np.uint8))


# Pasting the whole box


@pytest.mark.parametrize("mode", MODES)
def test_the_unpainted_half_of_a_paste_is_the_originals(mode):
    found, crops, frames = recorded_boxes(mode), RECORDED[f"{mode}.crops"], RECORDED["frames"]
    for index, output in zip(kept_indices(mode), RECORDED[f"{mode}.output_frames"].astype(int), strict=True):
        source = 0 if mode == "reconstruction" else index  # which repeats the first frame
        box, frame = found[source], frames[source]
        pasted = paste_box(frame, box, crops[source]).astype(int)
        # The seam's row is a mixture of both halves.
        rows = slice(box.y1, box.y1 + box.height // 2 - 2)
        assert np.abs(pasted[rows, box.x1 : box.x2] - output[rows, box.x1 : box.x2]).max() <= 2
        outside = np.ones(frame.shape[:2], bool)
        outside[box.y1 : box.y2, box.x1 : box.x2] = False
        # The recorded frames are what the original handed to its encoder: nothing else is changed there either.
        np.testing.assert_array_equal(pasted[outside], output[outside])


@given(whole_boxes)
def test_a_whole_paste_fills_its_box_exactly(box):
    frame = np.random.default_rng(0).integers(0, 200, (90, 90, 3), dtype=np.uint8)
    untouched = frame.copy()
    pasted = paste_box(frame, box, np.full((8, 8, 3), 255, np.uint8))
    inside = np.zeros((90, 90), bool)
    inside[box.y1 : box.y2, box.x1 : box.x2] = True
    assert (pasted[inside] == 255).all()
    np.testing.assert_array_equal(pasted[~inside], frame[~inside])
    np.testing.assert_array_equal(frame, untouched)


# Pasting the painted part with soft edges


@settings(deadline=None)
@given(whole_boxes, st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.75, 1.0]))
def test_a_soft_paste_touches_only_the_painted_part_and_stays_between_both_pictures(box, fraction):
    frame = np.random.default_rng(0).integers(0, 200, (90, 90, 3), dtype=np.uint8)
    untouched = frame.copy()
    pasted = paste_painted(frame, box, np.ones((8, 8, 3), np.float32), fraction)
    rows = floor(box.height * fraction)
    inside = np.zeros((90, 90), bool)
    inside[box.y2 - rows : box.y2, box.x1 : box.x2] = True
    np.testing.assert_array_equal(pasted[~inside], frame[~inside])
    np.testing.assert_array_equal(frame, untouched)
    # Opacities in 0..1 give values between the frame's and the face's, which is white; beyond them they wrap around.
    assert (pasted[inside] >= frame[inside]).all()
    assert pasted.dtype == np.uint8


def test_the_middle_of_a_soft_paste_is_opaque_and_its_edges_fall_off_smoothly():
    frame, box = np.zeros((220, 220, 3), np.uint8), FaceBox(10, 10, 210, 210)
    opacity = paste_painted(frame, box, np.ones((64, 64, 3), np.float32))[..., 0] / 255
    soft = int(np.ceil(FEATHER_FRACTION * 200))
    assert (opacity[110 + soft : 210 - soft, 10 + soft : 210 - soft] == 1).all()
    for profile in (opacity[110:160, 110], opacity[209:160:-1, 110], opacity[160, 10:110], opacity[160, 209:109:-1]):
        assert profile[0] < 0.01
        assert (np.diff(profile) >= 0).all() and np.diff(profile).max() < 0.12


@pytest.mark.parametrize("width, height", [(64, 64), (100, 120), (37, 51), (200, 200)])
def test_pasting_a_crop_of_a_smooth_picture_back_changes_hardly_anything(width, height):
    rows, columns = np.mgrid[0:220, 0:220]
    waves = [127 + 100 * np.sin(rows / 31 + k) * np.cos(columns / 29 + k) for k in range(3)]
    frame = np.stack(waves, axis=-1).round().astype(np.uint8)
    box = FaceBox(8, 12, 8 + width, 12 + height)
    pasted = paste_painted(frame, box, (crop_face(frame, box, 64) / 255).astype(np.float32))
    difference = np.abs(pasted.astype(int) - frame)[12 + height - height // 2 : 12 + height, 8 : 8 + width]
    assert difference.mean() < 1
    assert difference.max() <= 6


@pytest.mark.parametrize("width, height", [(1, 1), (1, 2), (2, 1), (2, 3), (8, 8), (3, 40), (40, 3)])
def test_tiny_boxes_can_be_pasted(width, height):
    frame = np.full((60, 60, 3), 100, np.uint8)
    box = FaceBox(10, 10, 10 + width, 10 + height)
    with np.errstate(all="raise"):
        pasted = paste_painted(frame, box, np.full((64, 64, 3), 100 / 255, np.float32))
    assert np.abs(pasted.astype(int) - frame).max() <= 1
    np.testing.assert_array_equal(paste_box(frame, box, np.full((64, 64, 3), 100, np.uint8)), frame)


def test_a_face_that_overshoots_is_clipped_and_does_not_wrap_around():
    """Bicubic resizing overshoots at hard edges."""
    face = np.zeros((16, 16, 3), np.float32)
    face[::4] = 1
    pasted = paste_painted(np.full((220, 220, 3), 128, np.uint8), FaceBox(10, 10, 210, 210), face)
    inner = pasted[130:190, 110, 0].astype(int)
    assert inner.max() == 255 and inner.min() == 0
    assert np.abs(np.diff(inner)).max() < 60
