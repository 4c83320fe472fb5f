from dataclasses import astuple
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.faces import (
    FEATHER_FRACTION,
    MAX_GAP_FRAMES,
    SAME_FACE_IOU,
    SMOOTHING_RADIUS_FRAMES,
    Detection,
    FaceBox,
    bridge_gaps,
    choose_face,
    crop_face,
    is_cut,
    paste_box,
    paste_painted,
    resize_image,
    smooth_boxes,
    smooth_boxes_as_original,
    track_face,
    voxceleb2_box,
)

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


# FaceBox


@given(boxes, boxes)
def test_area_and_iou_are_those_of_counted_pixels(first, second):
    grid = np.arange(-40, 80)

    def covered(box):
        columns, rows = ((low <= grid) & (grid < high) for low, high in ((box.x1, box.x2), (box.y1, box.y2)))
        return np.outer(rows, columns)

    a, b = covered(first), covered(second)
    assert first.area == a.sum() and first.width * first.height == a.sum()
    union = (a | b).sum()
    assert first.iou(second) == pytest.approx((a & b).sum() / union if union else 0)
    assert first.iou(second) == second.iou(first)


def test_iou_of_half_overlapping_boxes():
    assert FACE.iou(FACE) == 1
    assert FACE.iou(shifted(FACE, 20)) == pytest.approx(1 / 3)
    assert FACE.iou(ELSEWHERE) == FACE.iou(shifted(FACE, 40)) == 0  # touching is not overlapping


@given(whole_boxes, st.tuples(*[st.integers(0, 9)] * 4))
def test_padding_adds_to_the_named_sides_and_is_undone_by_its_negative(box, pads):
    top, bottom, left, right = pads
    padded = box.padded(*pads)
    assert (padded.width, padded.height) == (box.width + left + right, box.height + top + bottom)
    assert (box.y1 - padded.y1, padded.y2 - box.y2, box.x1 - padded.x1, padded.x2 - box.x2) == pads
    assert padded.padded(*(-pad for pad in pads)) == box


@given(boxes, st.integers(1, 60), st.integers(1, 60))
def test_clipping_is_the_intersection_with_the_frame(box, width, height):
    clipped = box.clipped(width, height)
    frame = FaceBox(0, 0, width, height)
    assert clipped.area == pytest.approx(box.iou(frame) * (box.area + frame.area) / (1 + box.iou(frame)))
    if clipped.area:
        assert clipped.x1 >= 0 and clipped.y1 >= 0 and clipped.x2 <= width and clipped.y2 <= height
        assert clipped.clipped(width, height) == clipped


@given(st.tuples(*[st.floats(-1000, 1000)] * 4))
def test_rounding_goes_to_the_nearest_and_halves_up(numbers):
    rounded = FaceBox(*numbers).rounded()
    assert all(isinstance(edge, int) for edge in astuple(rounded))
    assert all(abs(edge - number) <= 0.5 for edge, number in zip(astuple(rounded), numbers, strict=True))
    assert FaceBox(0.5, 1.5, -0.5, 2.49).rounded() == FaceBox(1, 2, 0, 2)


# Choice and track


def test_the_largest_face_is_chosen_first():
    small, large = Detection(FaceBox(0, 0, 10, 10), 1.0), Detection(FACE, 0.96)
    assert choose_face([small, large]) == FACE
    assert choose_face([]) is None
    assert choose_face([], FACE) is None


def test_the_face_that_was_followed_wins_over_a_larger_one():
    moved, larger = Detection(shifted(FACE, 5), 0.96), Detection(FaceBox(100, 0, 200, 200), 1.0)
    assert choose_face([larger, moved], FACE) == moved.box
    assert choose_face([larger], FACE) is None


def test_of_two_overlapping_faces_the_nearest_is_followed():
    near, nearer = Detection(shifted(FACE, 8), 1.0), Detection(shifted(FACE, -2), 1.0)
    assert choose_face([near, nearer], FACE) == nearer.box


def test_the_least_overlap_of_one_face():
    shift = 40 * (1 - SAME_FACE_IOU) / (1 + SAME_FACE_IOU)
    large = Detection(FaceBox(100, 0, 200, 200), 1.0)
    assert choose_face([large, Detection(shifted(FACE, shift - 0.01), 1.0)], FACE) == shifted(FACE, shift - 0.01)
    assert choose_face([large, Detection(shifted(FACE, shift + 0.01), 1.0)], FACE) is None


def picture(level: int) -> np.ndarray:
    return np.full((96, 96, 3), level, np.uint8)


def track_of(levels, detected):
    """Boxes of the track through pictures of one grey level each."""
    return [box for _, box in track_face(zip(map(picture, levels), detected, strict=True))]


def test_tracking_stays_with_one_of_two_crossing_faces_and_survives_a_gap():
    track = []
    for index in range(20):
        mine, other = Detection(shifted(FACE, 3 * index), 1.0), Detection(FaceBox(150, 0, 215, 100), 1.0)
        track.append([] if index in (7, 8) else [other, mine] if index else [mine])
    result = track_of([90] * 20, track)
    assert result == [None if index in (7, 8) else shifted(FACE, 3 * index) for index in range(20)]


def test_a_false_detection_does_not_draw_the_track_away_but_a_lasting_face_does():
    mine, other = [Detection(FACE, 1.0)], [Detection(ELSEWHERE, 1.0)]
    detected = [mine, other, mine, *[other] * (MAX_GAP_FRAMES + 3)]
    assert track_of([90] * len(detected), detected) == [
        FACE, None, FACE, *[None] * (MAX_GAP_FRAMES + 1), ELSEWHERE, ELSEWHERE
    ]  # fmt: skip


def test_a_cut_starts_over():
    mine, other = [Detection(FACE, 1.0)], [Detection(ELSEWHERE, 1.0)]
    assert track_of([90, 90, 160, 160], [mine, mine, other, other]) == [FACE, FACE, ELSEWHERE, ELSEWHERE]


@pytest.mark.parametrize("shape", [(1080, 1920, 3), (5, 3, 3)])
def test_cuts_are_seen_in_pictures_of_any_size_and_noise_is_none(shape):
    rng = np.random.default_rng(0)
    before = rng.integers(60, 180, shape, dtype=np.uint8)
    assert is_cut(before, before + np.uint8(40))
    noisy = (before + rng.normal(0, 5, shape)).clip(0, 255).astype(np.uint8)
    assert not is_cut(before, noisy)


# Gaps


@given(tracks, st.integers(0, 7))
def test_bridging_against_a_list_implementation(track, max_gap):
    expected = list(track)
    shown = [index for index, box in enumerate(track) if box is not None]
    for left, right in zip(shown, shown[1:], strict=False):
        if right - left - 1 <= max_gap and track[left].iou(track[right]) >= SAME_FACE_IOU:
            for index in range(left + 1, right):
                weight = (index - left) / (right - left)
                mixed = (1 - weight) * np.array(astuple(track[left])) + weight * np.array(astuple(track[right]))
                expected[index] = FaceBox(*mixed.tolist())
    assert_same_track(boxes_of(bridge_gaps(stream(track), max_gap), len(track)), expected)


def assert_same_track(result, expected, tolerance=1e-9):
    assert [box is None for box in result] == [box is None for box in expected]
    for box, other in zip(result, expected, strict=True):
        if box is not None:
            assert astuple(box) == pytest.approx(astuple(other), abs=tolerance)


@pytest.mark.parametrize("gap", range(MAX_GAP_FRAMES + 3))
def test_a_gap_is_a_straight_line_up_to_its_longest(gap):
    track = [FACE, *[None] * gap, shifted(FACE, 10)]
    result = boxes_of(bridge_gaps(stream(track)), len(track))
    if gap > MAX_GAP_FRAMES:
        assert result[1:-1] == [None] * gap
    else:
        assert_same_track(result, [shifted(FACE, 10 * index / (gap + 1)) for index in range(gap + 2)])


@pytest.mark.parametrize("track", [[None, None, FACE], [FACE, None, None], [FACE, None, ELSEWHERE], [None], []])
def test_a_gap_without_the_same_face_on_both_sides_stays(track):
    assert boxes_of(bridge_gaps(stream(track)), len(track)) == track


def test_bridging_holds_back_no_more_than_the_gap():
    taken = []

    def source():
        for index in range(100):
            taken.append(index)
            yield index, None if index > 50 else FACE

    for index, _ in bridge_gaps(source()):
        assert len(taken) - index <= MAX_GAP_FRAMES + 1


# Smoothing


def brute_force_smooth(track, radius):
    result = []
    for centre, box in enumerate(track):
        reach = 0
        if box is None:
            result.append(None)
            continue
        while reach < radius:
            left, right = centre - reach - 1, centre + reach + 1
            if left < 0 or right >= len(track) or track[left] is None or track[right] is None:
                break
            if min(track[left].iou(track[left + 1]), track[right].iou(track[right - 1])) < SAME_FACE_IOU:
                break
            reach += 1
        mean = np.mean([astuple(other) for other in track[centre - reach : centre + reach + 1]], axis=0)
        result.append(FaceBox(*mean.tolist()))
    return result


@settings(max_examples=200)
@given(tracks, st.integers(0, 5))
def test_smoothing_against_a_list_implementation(track, radius):
    result = boxes_of(smooth_boxes(stream(track), radius), len(track))
    assert_same_track(result, brute_force_smooth(track, radius))


@given(st.integers(0, 20), st.floats(-5, 5), st.floats(-5, 5))
def test_linear_motion_is_kept_exactly_so_nothing_lags(length, dx, dy):
    track = [shifted(FACE, dx * index, dy * index) for index in range(length)]
    assert_same_track(boxes_of(smooth_boxes(stream(track)), length), track, tolerance=1e-6)


def test_noise_on_a_still_face_shrinks_by_the_root_of_the_window():
    noise = np.random.default_rng(0).standard_normal((4000, 4))
    track = [FaceBox(*(np.array(astuple(FACE)) + row).tolist()) for row in noise]
    result = np.array([astuple(box) for box in boxes_of(smooth_boxes(stream(track)), len(track))])
    middle = result[SMOOTHING_RADIUS_FRAMES:-SMOOTHING_RADIUS_FRAMES] - astuple(FACE)
    np.testing.assert_allclose(middle.std(axis=0), noise.std(axis=0) / np.sqrt(7), rtol=0.1)


@pytest.mark.parametrize("between", [[], [None], [None] * 4])
def test_nothing_leaks_across_a_cut_or_a_gap(between):
    before = [shifted(FACE, index) for index in range(9)]
    after = [shifted(ELSEWHERE, -2 * index) for index in range(9)]
    track = [*before, *between, *after]
    alone = [boxes_of(smooth_boxes(stream(part)), 9) for part in (before, after)]
    assert boxes_of(smooth_boxes(stream(track)), len(track)) == [*alone[0], *between, *alone[1]]


def test_smoothing_looks_no_further_ahead_than_its_radius():
    taken = []
    source = (taken.append(index) or (index, FACE) for index in range(100))
    for index, _ in smooth_boxes(source):
        assert len(taken) - index <= SMOOTHING_RADIUS_FRAMES + 1


# The original's smoothing and boxes


def brute_force_original(track):
    """Truncated means of the next five, or of the last five where fewer follow, in place."""
    values = [astuple(box) for box in track]
    for index in range(len(values)):
        window = values[min(index, max(0, len(values) - 5)) :][:5]
        values[index] = tuple(sum(column) // len(window) for column in zip(*window, strict=True))
    return [FaceBox(*row) for row in values]


@pytest.mark.parametrize("length", range(13))
def test_the_originals_smoothing_for_short_clips(length):
    rng = np.random.default_rng(length)
    for _ in range(20):
        track = [FaceBox(*row) for row in rng.integers(0, 200, (length, 4)).tolist()]
        result = boxes_of(smooth_boxes_as_original(stream(track)), length)
        expected = brute_force_original(track)
        assert result == expected


def test_the_originals_smoothing_looks_four_frames_ahead():
    taken = []
    source = (taken.append(index) or (index, FACE) for index in range(100))
    for index, _ in smooth_boxes_as_original(source):
        assert len(taken) - index <= 5


@pytest.mark.parametrize("mode", ["cross", "reconstruction", "random"])
def test_boxes_are_those_of_the_original(mode):
    raw = [FaceBox(*row) for row in RECORDED[f"{mode}.boxes_raw_xyxy"].tolist()]
    padded = [box.padded(*PADS).clipped(FRAME_PX, FRAME_PX) for box in raw]
    assert boxes_of(smooth_boxes_as_original(stream(padded)), 13) == recorded_boxes(mode)


def test_the_voxceleb2_box_is_the_originals():
    assert recorded_boxes("voxceleb2") == [voxceleb2_box(FRAME_PX, FRAME_PX)] * 13


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_the_voxceleb2_box_is_inside_the_frame_and_never_empty(width, height):
    box = voxceleb2_box(width, height)
    assert box.clipped(width, height) == box
    assert box.area > 0
    assert box.x1 == width - box.x2 == floor(width * 1.8 / 8) and box.y1 == 0


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
