from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from diff2lip_diffusers.face_smoothing import MAX_GAP_FRAMES, SAME_FACE_IOU
from diff2lip_diffusers.face_tracks import choose_face, is_cut, track_face
from diff2lip_diffusers.faces import Detection, FaceBox

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
