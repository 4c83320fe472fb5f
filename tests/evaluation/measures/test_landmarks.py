"""Landmarks by a function, and by stand-ins that return what the packages document; the packages are not installed."""

import sys
from fractions import Fraction
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.evaluation.aligned_frames import AlignedFrame, NotMeasurable
from diff2lip_diffusers.evaluation.clips import Clip
from diff2lip_diffusers.evaluation.measures.group import ClipView
from diff2lip_diffusers.evaluation.measures.landmarks import (
    INNER_OF_MESH,
    OUTER_OF_MESH,
    MouthLandmarks,
    load_landmarks,
)
from diff2lip_diffusers.evaluation.measures.mouth import MouthGroup

BOX = FaceBox(20, 10, 120, 210)
GRAY = np.full((240, 160, 3), 128, np.uint8)


def mouth_of(pixels: np.ndarray, box: FaceBox) -> np.ndarray:
    """20 points; the gap between the inner lips and a shift to the right are written into two pixels."""
    gap, shift = (int(value) for value in pixels[0, :2, 0])
    angles = np.pi + np.arange(12) * 2 * np.pi / 12
    outer = np.stack([70 + 30 * np.cos(angles), 150 + 12 * np.sin(angles)], axis=1)
    half = gap / 2
    x = np.array([45.0, 55, 70, 85, 95, 85, 70, 55])
    y = 150 + half * np.array([0.0, -1, -1, -1, 0, 1, 1, 1])
    return np.concatenate([outer, np.stack([x, y], axis=1)]) + (shift, 0)


def picture(gap: int, shift: int = 0) -> np.ndarray:
    pixels = GRAY.copy()
    pixels[0, 0], pixels[0, 1] = gap, shift
    return pixels


def test_the_opening_is_the_gap_of_the_inner_lips_by_the_height_of_the_face():
    frame = AlignedFrame(0, picture(20), None, BOX)
    assert MouthLandmarks(mouth_of).opening(frame.output, frame) == pytest.approx(20 / 200)


def test_lmd_is_the_mean_distance_on_a_face_of_256_pixels():
    frame = AlignedFrame(0, picture(20, shift=5), picture(20), BOX)
    assert MouthLandmarks(mouth_of).distance(frame) == pytest.approx(5 / 100 * 256)
    opened = AlignedFrame(1, picture(20), picture(10), BOX)
    assert MouthLandmarks(mouth_of).distance(opened) == pytest.approx(6 * 5 / 200 * 256 / 20)


def test_all_layouts_have_the_mouth_in_the_same_order():
    twenty = mouth_of(picture(20), BOX)
    of_68, mesh = np.zeros((68, 2)), np.zeros((478, 3))
    of_68[48:] = twenty
    mesh[list(OUTER_OF_MESH + INNER_OF_MESH), :2] = twenty
    frame = AlignedFrame(0, GRAY, None, BOX)
    found = [MouthLandmarks(lambda *_, p=points: p).points(GRAY, frame) for points in (twenty, of_68, mesh)]
    assert np.allclose(found[0], found[1]) and np.allclose(found[0], found[2])


def test_other_points_are_refused():
    with pytest.raises(NotMeasurable, match=r"shape \(5, 2\), expected \(20, 2\) or \(68, 2\)"):
        MouthLandmarks(lambda *_: np.zeros((5, 2))).opening(GRAY, AlignedFrame(0, GRAY, None, BOX))


def test_no_face_no_opening():
    landmarks = MouthLandmarks(lambda *_: None)
    assert landmarks.opening(GRAY, AlignedFrame(0, GRAY, None, BOX)) is None
    assert landmarks.opening(GRAY, AlignedFrame(0, GRAY, None, None)) is None


def test_the_group_measures_with_a_function(tmp_path):
    gaps = (10 + 10 * np.sin(np.arange(50) / 3)).round().astype(int)
    (tmp_path / "a.mp4").touch()
    clip = Clip("a", {"ours": tmp_path / "a.mp4"}, reference=tmp_path / "a.mp4")
    view = ClipView(clip, "ours", Fraction(25), [BOX] * 50, True, tmp_path)
    group = MouthGroup(view, None, mouth_of)
    group._view.__dict__["original_speech"] = None
    for index, gap in enumerate(gaps):
        late = gaps[max(0, index - 2)]
        group.add(AlignedFrame(index, picture(late), picture(gap), BOX))
    group._leak = lambda _: {}
    found = group.values()
    assert found["opening_lag"] == 2
    assert found["opening_ratio"] == pytest.approx(1)
    assert found["lmd"] > 0


@pytest.fixture
def install(monkeypatch):
    def add(**modules):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name.replace("__", "."), module)

    return add


def test_face_alignment_gets_the_box_and_its_points_are_taken(install):
    class FaceAlignment:
        def __init__(self, kind, device):
            assert (kind, device) == ("2d", "cpu")

        def get_landmarks_from_image(self, image, detected_faces):
            return [np.full((68, 2), detected_faces[0][0])] if image.any() else None

    package = ModuleType("face_alignment")
    package.FaceAlignment, package.LandmarksType = FaceAlignment, SimpleNamespace(TWO_D="2d")
    install(face_alignment=package)
    detect = load_landmarks("face-alignment")
    assert np.array_equal(detect(GRAY, BOX), np.full((68, 2), 20.0))
    assert detect(np.zeros_like(GRAY), BOX) is None


def mediapipe_stand_in(install, made: list):
    class Landmarker:
        @classmethod
        def create_from_options(cls, options):
            made.append(options)
            return cls()

        def detect(self, image):
            made.append(image.data)
            if not image.data.any():
                return SimpleNamespace(face_landmarks=[])
            return SimpleNamespace(face_landmarks=[[SimpleNamespace(x=0.5, y=0.25, z=0.1)] * 478])

    vision = ModuleType("mediapipe.tasks.python.vision")
    vision.FaceLandmarker, vision.FaceLandmarkerOptions = Landmarker, SimpleNamespace
    vision.RunningMode = SimpleNamespace(IMAGE="image")
    python, tasks, package = (ModuleType(name) for name in ("python", "tasks", "mediapipe"))
    python.BaseOptions, python.vision, tasks.python, package.tasks = SimpleNamespace, vision, python, tasks
    package.Image, package.ImageFormat = SimpleNamespace, SimpleNamespace(SRGB="srgb")
    install(mediapipe=package, mediapipe__tasks=tasks, mediapipe__tasks__python=python)


def test_mediapipe_sees_the_surroundings_and_its_points_go_back_into_the_frame(install, tmp_path):
    made: list = []
    mediapipe_stand_in(install, made)
    (tmp_path / "face.task").touch()
    detect = load_landmarks(tmp_path / "face.task")
    assert made[0].base_options.model_asset_path == str(tmp_path / "face.task")
    points = detect(GRAY, FaceBox(60, 80, 100, 120))
    assert made[1].shape == (60, 60, 3)
    assert points.shape == (478, 2) and np.array_equal(points[0], [50 + 30, 70 + 15])
    assert detect(np.zeros_like(GRAY), BOX) is None


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(Diff2LipError, match="pip install face-alignment"):
        load_landmarks("face-alignment")
    with pytest.raises(MediaError, match="no such file"):
        load_landmarks(tmp_path / "none.task")
    (tmp_path / "face.task").touch()
    with pytest.raises(Diff2LipError, match="pip install mediapipe"):
        load_landmarks(tmp_path / "face.task")
    with pytest.raises(ValueError, match="`landmarks` is 'dlib'"):
        load_landmarks("dlib")
