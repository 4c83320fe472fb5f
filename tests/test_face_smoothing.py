from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.face_smoothing import (
    MAX_GAP_FRAMES,
    SAME_FACE_IOU,
    SMOOTHING_RADIUS_FRAMES,
    bridge_gaps,
    smooth_boxes,
    smooth_boxes_as_original,
)
from diff2lip_diffusers.faces import FaceBox

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
