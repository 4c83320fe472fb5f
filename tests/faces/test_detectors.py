import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from skimage import data

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.faces.detectors import FACE_DETECTORS, load_face_detector
from diff2lip_diffusers.faces.mtcnn import MTCNN


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The nets are tiny: several threads gain little, and on a busy machine they wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class FakeSFDDetector:
    """Has the calls of face_alignment.detection.sfd.FaceDetector 1.5.0; finds the brightest pixel of the red plane."""

    def __init__(self, device, path_to_detector=None, verbose=False, filter_threshold=0.5):
        assert "cpu" in device or "cuda" in device  # the real one asks this of a string
        self.device = device

    def detect_from_batch(self, tensor):
        """(N, 3, H, W) RGB -> for each frame a list of arrays x1, y1, x2, y2, score; empty for a black frame."""
        found = []
        for red in tensor[:, 0].numpy():
            y, x = np.unravel_index(red.argmax(), red.shape)
            worse, better = np.array([x - 5, y - 6, x + 5, y + 6, 0.6]), np.array([x - 3, y - 2, x + 3, y + 2, 0.9])
            found.append([worse, better, np.array([-9, -9, -1, -1, 0.7])] if red.any() else np.zeros((0, 5)))
        return found


@pytest.fixture
def install_s3fd(monkeypatch):
    def install(detector_class):
        names = ("face_alignment", "face_alignment.detection", "face_alignment.detection.sfd")
        for name in names:
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules[names[-1]].FaceDetector = detector_class

    return install


def test_mtcnn_is_the_default():
    frame = data.astronaut()
    assert load_face_detector()([frame]) == MTCNN().detect([frame])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="name must be one of mtcnn, s3fd, got 'haar'"):
        load_face_detector("haar")


def test_names_can_be_added(monkeypatch):
    def find_nothing(frames):
        return [[] for _ in frames]

    monkeypatch.setitem(FACE_DETECTORS, "nothing", lambda device: find_nothing)
    assert load_face_detector("nothing") is find_nothing


def test_s3fd_boxes_are_clipped_and_sorted(install_s3fd):
    install_s3fd(FakeSFDDetector)
    frames = np.zeros((2, 40, 60, 3), np.uint8)
    frames[0, 3, 20, 0] = 255  # red; a blue pixel must not be mistaken for it
    frames[0, 30, 50, 2] = 255
    assert load_face_detector("s3fd")(frames) == [
        [Detection(FaceBox(17, 1, 23, 5), 0.9), Detection(FaceBox(15, 0, 25, 9), 0.6)],
        [],
    ]


def test_s3fd_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(Diff2LipError, match=r"pip install diff2lip-diffusers\[s3fd\]"):
        load_face_detector("s3fd")


@pytest.mark.parametrize(
    "error", [OSError("no route to host"), RuntimeError('invalid hash value (expected "61", got "e3")\nmore')]
)
def test_s3fd_without_its_weights_is_one_line(install_s3fd, error):
    def fail(device):
        raise error

    install_s3fd(fail)
    with pytest.raises(
        Diff2LipError, match="could not download or load its weights: (no route|invalid hash)"
    ) as raised:
        load_face_detector("s3fd")
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is error
