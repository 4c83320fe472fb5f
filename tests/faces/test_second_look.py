"""Doubtful faces count if the mirrored frame shows them, too."""

import numpy as np
import pytest

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.demo.demo_clip import load_demo_clip
from diff2lip_diffusers.faces.detections_file import read_detections
from diff2lip_diffusers.faces.detectors import load_face_detector
from diff2lip_diffusers.faces.second_look import SecondLook
from diff2lip_diffusers.media.reader import read_frames

WIDTH = 100
FRAMES = [np.full((80, WIDTH, 3), level, np.uint8) for level in (10, 20, 30, 40)]


class Scripted:
    """A detector that gives each frame, by its level and whether it is mirrored, what the test says."""

    def __init__(self, faces: dict):
        self.faces, self.seen = faces, []

    def detect(self, frames):
        self.seen.append([int(frame[0, 0, 0]) for frame in frames])
        return [self.faces.get((int(frame[0, 0, 0]), len(self.seen) > 1), []) for frame in frames]


def test_only_frames_without_a_sure_face_are_looked_at_again():
    sure, doubtful = Detection(FaceBox(10, 10, 40, 50), 0.97), Detection(FaceBox(50, 10, 80, 50), 0.9)
    mirrored = Detection(FaceBox(20, 12, 50, 52), 0.88)  # the doubtful one, seen from the other side
    elsewhere = Detection(FaceBox(60, 10, 90, 50), 0.99)
    network = Scripted(
        {
            (10, False): [sure, doubtful],
            (20, False): [doubtful],
            (20, True): [mirrored],
            (30, False): [doubtful],
            (30, True): [elsewhere],
        }
    )
    assert SecondLook(network)(FRAMES) == [[sure], [doubtful], [], []]
    assert network.seen == [[10, 20, 30, 40], [20, 30]]


@pytest.mark.parametrize("frames", [slice(0, 141, 10), pytest.param(slice(None), marks=pytest.mark.slow)])
def test_the_face_of_the_demo_is_found_in_every_frame(frames):
    clip = load_demo_clip()
    pictures = [frame.rgb() for frame in read_frames(clip.video)][frames]
    found = load_face_detector()(pictures)
    assert [len(faces) for faces in found] == [1] * len(pictures)
    height, width = pictures[0].shape[:2]
    truth = read_detections(clip.boxes, width, height, 25)
    numbers = range(len(clip.own_mouth))[frames]
    assert all(faces[0].box.iou(truth[n][0].box) > 0.4 for n, faces in zip(numbers, found, strict=True))


@pytest.mark.slow
def test_pictures_without_a_face_give_none():
    data = pytest.importorskip("skimage.data")
    names = ("brick", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "moon", "page", "rocket", "text")
    for name in names:
        picture = getattr(data, name)()
        picture = np.ascontiguousarray(
            np.broadcast_to(picture[..., None], (*picture.shape, 3)) if picture.ndim == 2 else picture
        )
        assert load_face_detector()([picture]) == [[]], name
