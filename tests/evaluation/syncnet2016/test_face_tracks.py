"""Face tracks: recorded tracks and crops of moving boxes, and what is left out."""

import numpy as np
import pytest
from helpers.recorded_syncnet2016 import golden, recorded_frames

from diff2lip_diffusers import FaceBox
from diff2lip_diffusers.evaluation.syncnet2016.face_tracks import crop_face, track_scenes


def recorded_boxes(frame: int) -> list[FaceBox]:
    """The faces that the recorded tracks were made of."""
    boxes = []
    if not 30 <= frame < 40:
        x, y = 20 + frame / 2 + (7 if frame % 11 == 0 else 0), 40 + frame**2 % 5
        boxes.append(FaceBox(x, y, x + 120 + frame % 3, y + 140 + frame % 7))
    if frame < 100:
        boxes.append(FaceBox(250, 30, 360, 170))
    if frame % 2 == 0:
        boxes.append(FaceBox(10, 190, 110, 300))
    return boxes


def tracks_of(frames: int, scene_starts=(0,)):
    return track_scenes([recorded_boxes(frame) for frame in range(frames)], scene_starts)


@pytest.fixture(scope="module")
def track():
    (only,) = tracks_of(130)
    return only


def test_the_track_equals_the_recording(track):
    np.testing.assert_array_equal(np.arange(track.first_frame, track.last_frame + 1), golden()["t_frame"])
    np.testing.assert_array_equal(track.boxes.astype(np.float32), golden()["t_bbox"])


def test_places_of_crops_equal_the_recording(track):
    recorded = np.stack([golden()[f"t_{name}"] for name in "sxy"], axis=1)
    np.testing.assert_array_equal(track.crop_places().astype(np.float32), recorded)


def test_crops_equal_the_recording(track):
    frames = recorded_frames(130, 300, 400)
    crops = [crop_face(frame, place) for frame, place in zip(frames, track.crop_places(), strict=True)]
    for index in (0, 64):
        np.testing.assert_array_equal(crops[index][..., 1], golden()[f"t_crop{index}_green"])
    means = [crop.mean(axis=(0, 1)) for crop in crops]
    np.testing.assert_allclose(means, golden()["t_crop_means"], rtol=1e-6)


def test_long_videos_have_tracks_with_gaps():
    tracks = tracks_of(240)
    summary = [(track.first_frame, track.last_frame, len(track.boxes)) for track in tracks]
    assert [(first, last) for first, last, _ in summary] == [(0, 239), (0, 238)]
    np.testing.assert_array_equal(summary, golden()["t_240_summary"])
    np.testing.assert_array_equal(tracks[1].boxes, golden()["t_240_bbox1"])


def test_a_cut_ends_tracks_and_short_scenes_are_left_out():
    first, second = tracks_of(250, [0, 115, 140])
    assert (first.first_frame, first.last_frame) == (0, 114)
    assert (second.first_frame, second.last_frame) == (140, 249)
    assert tracks_of(99) == []


@pytest.mark.parametrize(("detections", "size", "found"), [(101, 101, 1), (100, 101, 0), (101, 100, 0)])
def test_short_tracks_and_small_faces_are_left_out(detections, size, found):
    faces = [[FaceBox(50, 50, 50 + size, 130)] for _ in range(detections)] + [[]] * 50
    assert len(track_scenes(faces, [0])) == found


@pytest.mark.parametrize(("gap", "found"), [(25, 1), (26, 0)])
def test_a_long_gap_ends_a_track(gap, found):
    seen = [[FaceBox(50, 50, 200, 200)]]
    tracks = track_scenes(seen * 60 + [[]] * (gap - 1) + seen * 60, [0])
    assert len(tracks) == found


def test_crops_beyond_the_frame_are_gray():
    frame = np.zeros((40, 50, 3), np.uint8)
    crop = crop_face(frame, (30.0, 25.0, 20.0))
    assert crop.shape == (224, 224, 3)
    assert (crop[0] == 110).all() and (crop[-1] == 110).all() and (crop[100, 112] == 0).all()
