import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from diff2lip_diffusers.detail.bank import Bank
from diff2lip_diffusers.detail.exemplars import first_row_of, make_exemplar
from diff2lip_diffusers.detail.luma import blurred
from diff2lip_diffusers.detail.sharpener import MouthSharpener

SIZE, FRACTION = 32, 0.5
SHARPENED = 112  # faces of 110 pixels, in quarters of SIZE
PHOTO = skimage.data.astronaut()[30:230, 120:320]


def speaking(opening: int, dark: int = 0) -> np.ndarray:
    """The photo's face, (110, 90, 3) uint8, moved a little, with a striped mouth that is so many pixels open."""
    face = PHOTO[35 + opening % 3 : 145 + opening % 3, 50:140].copy()
    face[76 : 78 + opening, 30:62] = 30
    face[76:79, 30:62:4] = 230
    return np.clip(face.astype(int) - dark, 0, 255).astype(np.uint8)


def painted(face: np.ndarray) -> np.ndarray:
    """What a model would paint."""
    small = cv2.resize(face.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return blurred(small, 0.8)


def sharpener(faces: list[np.ndarray]) -> MouthSharpener:
    exemplars = [make_exemplar(number, face, SIZE, FRACTION) for number, face in enumerate(faces)]
    return MouthSharpener(Bank(exemplars, first_row_of(FRACTION, SIZE)))


def error(made: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square over the mouth."""
    size = made.shape[0]
    true = cv2.resize(truth, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    mouth = slice(int(0.58 * size), int(0.94 * size)), slice(int(0.16 * size), int(0.88 * size))
    return float(np.sqrt(np.square(made - true)[mouth].mean()))


def plain(face: np.ndarray) -> np.ndarray:
    """By Catmull-Rom's kernel, which Pillow calls bicubic."""
    channels = (Image.fromarray(channel).resize((SHARPENED, SHARPENED), 3) for channel in face.transpose(2, 0, 1))
    return np.dstack([np.asarray(channel) for channel in channels])


def own_crop(face: np.ndarray) -> np.ndarray:
    return cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def test_detail_of_other_frames_brings_a_mouth_near_the_truth():
    openings = [0, 2, 4, 8, 10, 12]
    sharpen, truth = sharpener([speaking(opening) for opening in openings]), speaking(6)
    made = sharpen(painted(truth), own_crop(truth))
    assert made.shape == (SHARPENED, SHARPENED, 3) and made.dtype == np.float32
    assert error(made, truth) < 0.7 * error(plain(painted(truth)), truth)


def test_where_nothing_matches_it_is_a_plain_enlargement():
    truth = speaking(6)
    stranger = skimage.data.camera()[100:320:2, 100:280:2, None].repeat(3, axis=2)
    made = sharpener([stranger])(painted(truth), own_crop(truth))
    assert error(made, truth) <= 1.02 * error(plain(painted(truth)), truth)


def test_colors_far_from_the_bank_fade_to_plain():
    truth = speaking(6, dark=90)
    made = sharpener([speaking(opening) for opening in (0, 4, 8)])(painted(truth), own_crop(truth))
    assert error(made, truth) <= 1.05 * error(plain(painted(truth)), truth)


def test_the_upper_face_gets_no_detail():
    truth = speaking(6)
    made = sharpener([speaking(opening) for opening in (4, 8)])(painted(truth), own_crop(truth))
    difference = np.abs(made - plain(painted(truth)))
    assert first_row_of(FRACTION, SIZE) == 12
    first = 12 * SHARPENED // SIZE
    assert difference[:first].mean() < 1 < difference[first:].mean()


def test_blurred_mouths_may_differ_more_where_there_is_more_contrast():
    faces = [speaking(opening) for opening in (0, 4, 8)]
    flat = [(60 + face * 0.2).astype(np.uint8) for face in faces]
    found = {}
    for name, shown in (("full", faces), ("flat", flat)):
        bank = Bank([make_exemplar(0, face, SIZE, FRACTION) for face in shown], first_row_of(FRACTION, SIZE))
        for sigma in (0, 0.1, 0.3, 1):
            bank.blur(sigma)
            found[name, sigma] = bank.leniency
    assert found["full", 0] == found["flat", 1] == 1
    assert 1 < found["full", 0.1] < found["full", 0.3] <= 1.25


def test_a_cut_starts_afresh():
    faces, (first, second) = [speaking(opening) for opening in (0, 4, 8)], (speaking(2), speaking(3))
    other_shot = skimage.data.camera()[100:320, 100:280, None].repeat(3, axis=2)
    after_cut, told, going_on = sharpener(faces), sharpener(faces), sharpener(faces)
    for sharpen, crop in ((after_cut, other_shot), (told, first), (going_on, first)):
        sharpen(painted(first), own_crop(crop))
    told.forget()
    made, afresh, continued = (one(painted(second), own_crop(second)) for one in (after_cut, told, going_on))
    np.testing.assert_array_equal(made, afresh)
    assert np.abs(made - continued).max() > 1


@pytest.mark.parametrize("size", [(40, 30), (300, 240)])
def test_the_sharpened_size_suits_the_face(size):
    face = cv2.resize(speaking(3), size[::-1])
    made = sharpener([face, face])(painted(face), own_crop(face))
    assert len(made) == max(2 * SIZE, -(-max(size) // 8) * 8)


def test_frames_that_continue_each_other_change_less():
    random, truth = np.random.default_rng(0), speaking(6)
    noisy = [painted(truth) + random.normal(0, 3, (SIZE, SIZE, 3)).astype(np.float32) for _ in range(6)]
    changes = []
    for continues in (True, False):
        sharpen = sharpener([speaking(opening) for opening in (0, 2, 4, 8, 10)])
        made = []
        for face in noisy:
            made.append(sharpen(face, own_crop(truth)))
            if not continues:
                sharpen.forget()
        changes.append(np.mean([np.abs(b - a)[80:120].mean() for a, b in zip(made[2:], made[3:], strict=False)]))
    assert changes[0] < 0.75 * changes[1]
