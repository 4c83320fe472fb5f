from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.faces.smoothing import (
    LOOK_AHEAD_FRAMES,
    MAX_GAP_FRAMES,
    SAME_FACE_IOU,
    SMOOTHING_RADIUS_FRAMES,
    bridge_gaps,
    smooth_boxes,
    smooth_boxes_as_original,
)

RECORDED = np.load(Path(__file__).parents[1] / "data" / "pipeline.npz")
PADS, FRAME_PX = (0, 6, 2, 2), 216
FACE, ELSEWHERE = FaceBox(20, 30, 60, 90), FaceBox(120, 30, 160, 90)

edges = st.integers(-40, 80)
boxes = st.builds(FaceBox, edges, edges, edges, edges)
# Small shifts of one face, a second face elsewhere, and gaps.
jittered = st.builds(
    lambda face, dx, dy: FaceBox(face.x1 + dx, face.y1 + dy, face.x2 + dx, face.y2 + dy),
    st.sampled_from([FACE, ELSEWHERE]),
    st.integers(-12, 12),
    st.integers(-12, 12),
)
steady_tracks = st.lists(
    st.builds(lambda dx, dy, grow: shifted(FACE, dx, dy).padded(grow, 0, grow, 0), *[st.floats(-1, 1)] * 3),
    max_size=20,
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
    """Weighted lines by numpy's own fits, for center and size one after the other."""
    return [box and brute_force_box(track, index, radius) for index, box in enumerate(track)]


def brute_force_box(track, center, radius):
    times = [center]
    for step in (-1, 1):
        time = center + step
        while abs(time - center) <= radius and 0 <= time < len(track) and track[time] is not None:
            if track[time].iou(track[time - step]) < SAME_FACE_IOU:
                break
            times.append(time)
            time += step
    times = np.array(sorted(times))
    boxes = [track[time] for time in times]
    offsets, sides = times - center, (track[center].width, track[center].height)
    x, width = (
        brute_force_line(offsets, values, spread)
        for values, spread in (
            ([(box.x1 + box.x2) / 2 for box in boxes], 0.03 * sides[0]),
            ([box.width for box in boxes], 0.08 * sides[0]),
        )
    )
    y, height = (
        brute_force_line(offsets, values, spread)
        for values, spread in (
            ([(box.y1 + box.y2) / 2 for box in boxes], 0.03 * sides[1]),
            ([box.height for box in boxes], 0.08 * sides[1]),
        )
    )
    return FaceBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def brute_force_line(offsets, values, spread):
    if len(offsets) == 1:
        return values[0]
    values, near = np.array(values), np.abs(offsets) <= 3
    course = np.polyfit(offsets[near], values[near], min(2, near.sum() - 1))[-1]
    weights = (1 - (offsets / (np.abs(offsets).max() + 1)) ** 2) * np.exp(-(((values - course) / spread) ** 2) / 2)
    return np.polyfit(offsets, values, 1, w=np.sqrt(weights))[-1]


@settings(max_examples=200)
@given(steady_tracks, st.integers(0, 8))
def test_smoothing_against_a_list_implementation(track, radius):
    result = boxes_of(smooth_boxes(stream(track), radius), len(track))
    assert_same_track(result, brute_force_smooth(track, radius), tolerance=1e-3)


@given(tracks, st.integers(0, 8))
def test_smoothed_boxes_stay_among_their_neighbors(track, radius):
    for before, after in zip(track, boxes_of(smooth_boxes(stream(track), radius), len(track)), strict=True):
        assert (before is None) == (after is None)
        assert before is None or before.iou(after) > 0.3


@given(st.integers(0, 20), st.floats(-5, 5), st.floats(-5, 5))
def test_linear_motion_is_kept_exactly_so_nothing_lags(length, dx, dy):
    track = [shifted(FACE, dx * index, dy * index) for index in range(length)]
    assert_same_track(boxes_of(smooth_boxes(stream(track)), length), track, tolerance=1e-6)


# What a detector does to a face of 100 x 125 px: 1 % of the width for the center, 2.5 % of the size for the size.
SIDES, SCATTER = np.array([100, 125]), np.array([1, 1, 2.5, 3.125])
TIMES = np.arange(400)


def course_of(x, y):
    """Centers and sizes (T, 4) of a face on its way around (300, 300)."""
    return np.broadcast_to(np.stack(np.broadcast_arrays(300.0 + x, 300.0 + y, *SIDES), -1), (len(TIMES), 4))


def smoothed(course):
    """Centers and sizes (T, 4) after smoothing."""
    edges = np.hstack([course[:, :2] - course[:, 2:] / 2, course[:, :2] + course[:, 2:] / 2])
    track = [FaceBox(*row) for row in edges.tolist()]
    edges = np.array([astuple(box) for box in boxes_of(smooth_boxes(stream(track)), len(track))])
    return np.hstack([(edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]])


def scattered(course):
    return course + np.random.default_rng(0).standard_normal(course.shape) * SCATTER


def nod(frequency_hz):
    return 8 * np.sin(2 * np.pi * frequency_hz * TIMES / 25)


STARTS_AND_STOPS = np.cumsum(np.where(TIMES // 25 % 2, np.where(TIMES // 50 % 2, 5, -5), 0))
FAST_TURNS = 15 * np.tanh((TIMES % 50 - 25) / 2.5) * np.where(TIMES // 50 % 2, -1, 1)


def test_a_still_face_stands_still():
    truth = course_of(0, 0 * TIMES)
    error = (scattered(truth) - truth)[10:-10] / SIDES[0] * 100
    left = (smoothed(scattered(truth)) - truth)[10:-10] / SIDES[0] * 100
    # From frame to frame, in % of the width: x, y, width, height.
    np.testing.assert_allclose(np.diff(error, axis=0).std(axis=0), np.sqrt(2) * SCATTER, rtol=0.1)
    assert (np.diff(left, axis=0).std(axis=0) < [0.1, 0.1, 0.25, 0.32]).all()
    # And from the truth.
    assert (left.std(axis=0) < [0.35, 0.35, 1.0, 1.25]).all()


@pytest.mark.parametrize(
    "x, y, most, most_by_itself",
    [
        (4 * TIMES, 0, 0.8, 1e-6),
        (0.01 * TIMES**2, 0, 0.8, 0.15),
        (0, nod(2), 1.6, 2.3),
        (0, nod(3), 2.0, 2.5),
        (STARTS_AND_STOPS, 0, 0.8, 1.5),
        (FAST_TURNS, 0, 0.8, 0.8),
    ],
    ids=["constant speed", "acceleration", "nod of 2 Hz", "nod of 3 Hz", "abrupt starts and stops", "fast turns"],
)
def test_a_moving_face_is_not_left(x, y, most, most_by_itself):
    """The largest spread from the truth with a detector's scatter, the largest error without, in % of the width.

    A plain mean over three frames on each side is off by 6.5 % in the nod of 3 Hz and by 13 % in the turn.
    """
    truth = course_of(x, y)
    inside = slice(10, -10)
    assert (smoothed(scattered(truth)) - truth)[inside, :2].std(axis=0).max() < most
    assert np.abs(smoothed(truth) - truth)[inside].max() < most_by_itself


def test_the_lag_is_zero():
    """The shift in time that fits a nod best, from the phase of its frequency."""
    wave = np.exp(-2j * np.pi * 2 * TIMES[25:-25] / 25)
    phases = [np.angle(course[25:-25, 1] @ wave) for course in (course_of(0, nod(2)), smoothed(course_of(0, nod(2))))]
    assert abs(phases[0] - phases[1]) / (2 * np.pi * 2 / 25) < 0.01


def test_nothing_jumps_near_the_ends():
    runs = [smoothed(scattered(course_of(0, 0 * TIMES))[start : start + 20]) for start in range(0, 380, 20)]
    steps = np.diff(np.array(runs), axis=1).std(axis=0) / SIDES[0] * 100
    assert (steps < [0.45, 0.45, 1.1, 1.4]).all()
    assert (steps[5:-5] < [0.2, 0.2, 0.4, 0.5]).all()


def test_one_box_that_is_far_off_hardly_matters():
    course = np.array(course_of(0, 0 * TIMES))
    course[200] += [5, 5, 20, 25]
    assert np.abs(smoothed(course) - course_of(0, 0 * TIMES)).max() < 2


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


def test_both_together_hold_back_no_more_than_they_say():
    taken, most = [], 0
    source = (taken.append(index) or (index, None if index % 20 > 14 else FACE) for index in range(100))
    for index, _ in smooth_boxes(bridge_gaps(source)):
        most = max(most, len(taken) - 1 - index)
    assert most == LOOK_AHEAD_FRAMES


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
