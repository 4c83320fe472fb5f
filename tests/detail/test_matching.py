import cv2
import numpy as np
import skimage.data

from diff2lip_diffusers.detail.luma import MATCH_PX
from diff2lip_diffusers.detail.matching import Looks

PHOTO = cv2.resize(skimage.data.astronaut()[40:230, 130:320].mean(axis=2).astype(np.float32), (60, 60))
OTHER = skimage.data.camera()[100:400:5, 100:400:5].astype(np.float32)


def face(across: int = 0, down: int = 0, photo: np.ndarray = PHOTO) -> np.ndarray:
    return photo[6 + down : 6 + down + MATCH_PX, 6 + across : 6 + across + MATCH_PX]


def test_the_same_face_matches_with_its_shift():
    looks = Looks(np.stack([face(3, 3), face(), face(-3, 2)]))
    (best, *_) = looks.best(face(2, -1), 3)
    # A pixel of the painted face is further right in the exemplar, by so much of the face.
    assert (best.index, best.shift) == (1, (2 / MATCH_PX, -1 / MATCH_PX))


def test_brightness_does_not_count():
    looks = Looks(np.stack([face(photo=PHOTO + 40), face(photo=OTHER)]))
    assert looks.best(face(), 1)[0].index == 0


def test_another_person_is_never_taken():
    looks = Looks(np.stack([face(photo=OTHER), face()]))
    assert [match.index for match in looks.best(face(), 4)] == [1]


def test_only_those_allowed():
    looks = Looks(np.stack([face(), face(1, 0), face(2, 0)]))
    assert [match.index for match in looks.best(face(), 2, np.array([False, True, False]))] == [1]


def test_between_two_that_are_alike_the_last_frames_stays():
    noise = np.random.default_rng(0).normal(0, 8, (2, *PHOTO.shape)).astype(np.float32)
    looks = Looks(np.stack([face(photo=PHOTO + noise[0]), face(photo=PHOTO + 1.03 * noise[1]), face(photo=OTHER)]))
    order = [[match.index for match in looks.best(face(), 1, favored=favored)] for favored in ((), (0,), (1,), (2,))]
    assert order == [[0], [0], [1], [0]]
