from types import SimpleNamespace

import cv2
import numpy as np
import skimage.data

from diff2lip_diffusers.detail.exemplars import make_exemplar
from diff2lip_diffusers.lipsync.task_detail import TaskDetail

SIZE, FRACTION = 32, 0.5
FACE = skimage.data.astronaut()[60:180, 160:270]
CROP = cv2.resize(FACE, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
EXEMPLARS = [make_exemplar(number, np.roll(FACE, number, axis=0), SIZE, FRACTION) for number in range(3)]
PAINTED = (cv2.GaussianBlur(CROP, (0, 0), 0.8) / 255).astype(np.float32)


def task(index: int, exemplars, crop=CROP):
    """What `TaskDetail` sees of a task."""
    return SimpleNamespace(index=index, exemplars=exemplars, crop=SimpleNamespace(resized=crop))


def test_a_stretch_does_not_depend_on_the_one_before():
    stretches = [list(EXEMPLARS), list(EXEMPLARS)]
    whole, alone = TaskDetail(FRACTION), TaskDetail(FRACTION)
    for index in range(3):
        whole.added(task(index, stretches[0]), PAINTED)
    np.testing.assert_array_equal(
        whole.added(task(3, stretches[1]), PAINTED), alone.added(task(3, stretches[1]), PAINTED)
    )


def test_a_frame_that_was_left_out_ends_the_continuation():
    made = []
    for second in (1, 2):
        detail, exemplars = TaskDetail(FRACTION), list(EXEMPLARS)
        detail.added(task(0, exemplars), np.roll(PAINTED, 1, axis=1))
        made.append(detail.added(task(second, exemplars), PAINTED))
    assert np.abs(made[0] - made[1]).max() > 0.002


def test_without_exemplars_the_face_is_what_the_model_painted():
    assert TaskDetail(FRACTION).added(task(0, []), PAINTED) is PAINTED
    sharpened = TaskDetail(FRACTION).added(task(0, list(EXEMPLARS)), PAINTED)
    assert sharpened.shape == (120, 120, 3) and 0 <= sharpened.min() and sharpened.max() <= 1
