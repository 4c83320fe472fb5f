import cv2
import numpy as np
from helpers.face_videos import WOMAN, WOMAN_FACE

from diff2lip_diffusers.faces.portraits import Look, best_portrait

FACE = WOMAN[WOMAN_FACE.y1 : WOMAN_FACE.y2, WOMAN_FACE.x1 : WOMAN_FACE.x2]


def look_of(face: np.ndarray) -> Look:
    return Look.of(cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA))


def opened(rows: int) -> np.ndarray:
    """The face with a dark opening so high between the lips."""
    face, middle = FACE.copy(), round(0.8 * len(FACE))
    face[middle - rows : middle + rows, 35:65] = (40, 8, 10)
    return face


def test_the_opening_grows_with_the_mouth():
    openings = [look_of(opened(rows)).opening for rows in (1, 3, 6, 10)]
    assert openings == sorted(openings) and openings[-1] > 1.5 * openings[0]


def test_a_blurred_face_is_less_sharp_and_a_dimmed_one_is_not():
    sharp = look_of(FACE).sharpness
    assert look_of(cv2.GaussianBlur(FACE, (0, 0), 3)).sharpness < 0.5 * sharp
    assert abs(look_of((FACE * 0.6).astype(np.uint8)).sharpness / sharp - 1) < 0.05


def test_a_turned_head_is_less_frontal():
    height, width = FACE.shape[:2]
    frontal = np.concatenate([FACE[:, : width // 2], FACE[:, : width // 2][:, ::-1]], axis=1)
    across = np.linspace(0, 1, width, dtype=np.float32) ** 1.5 * (width - 1)
    rows = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None], (height, width))
    turned = cv2.remap(frontal, np.broadcast_to(across, (height, width)).copy(), rows.copy(), cv2.INTER_LINEAR)
    assert look_of(turned).turned > 2 * look_of(frontal).turned


def test_the_best_one_is_sharp_and_shut():
    faces = [opened(8), opened(6), cv2.GaussianBlur(opened(1), (0, 0), 4), opened(2), opened(7), opened(9)]
    assert best_portrait([look_of(face) for face in faces]) == 3
    assert best_portrait([look_of(faces[0])]) == 0
