import numpy as np
import pytest
import skimage.data

from diff2lip_diffusers.restoration.steadiness import SteadyRestoration

PHOTO = skimage.data.astronaut()[30:230, 120:320]


def waves(phase: float) -> np.ndarray:
    """Fine detail as a restorer adds it, other in each frame."""
    rows, columns = np.mgrid[0:200, 0:200].astype(np.float32)
    return (12 * np.sin(0.9 * rows + phase) * np.cos(0.7 * columns + phase))[..., None].repeat(3, axis=2)


def flicker(frames: list[np.ndarray]) -> float:
    return float(np.abs(np.diff(np.stack(frames)[:, 20:-20, 20:-20], axis=0)).mean())


def restored_film(step: int, steady: SteadyRestoration | None) -> list[np.ndarray]:
    """The photo, moved by so many pixels a frame, as restored; each frame is moved back."""
    shown = []
    for index in range(5):
        image = np.roll(PHOTO, step * index, axis=1)
        restored = image + np.roll(waves(float(index)), step * index, axis=1)
        result = restored if steady is None else steady(image, restored)
        shown.append(np.roll(result, -step * index, axis=1))
    return shown


@pytest.mark.parametrize("step", [0, 3])
def test_what_is_added_goes_with_the_picture_and_hardly_flickers(step):
    alone = flicker(restored_film(step, None))
    steady = restored_film(step, SteadyRestoration())
    assert flicker(steady) < 0.4 * alone
    assert np.abs(steady[-1] - PHOTO).mean() > 1  # and yet something is added


def test_where_the_picture_changes_the_new_detail_is_shown():
    steady = SteadyRestoration()
    steady(PHOTO, PHOTO + waves(0))
    other = PHOTO[::-1].copy()
    shown = steady(other, other + waves(2))
    assert np.abs(shown - (other + waves(2)))[20:-20, 20:-20].mean() < 0.35 * np.abs(waves(0) - waves(2)).mean()


def test_after_forgetting_nothing_of_the_last_frame_is_left():
    steady, fresh = SteadyRestoration(), SteadyRestoration()
    steady(PHOTO, PHOTO + waves(0))
    steady.forget()
    np.testing.assert_array_equal(steady(PHOTO, PHOTO + waves(1)), fresh(PHOTO, PHOTO + waves(1)))


def test_light_and_colors_of_the_painted_face_stay():
    tinted = PHOTO + np.float32([25, 3, -20]) + waves(0)
    shown = SteadyRestoration()(PHOTO, tinted)
    assert np.abs((tinted - PHOTO).mean(axis=(0, 1))).max() > 10
    assert np.abs((shown - PHOTO).mean(axis=(0, 1))).max() < 0.5
    np.testing.assert_allclose((shown - PHOTO)[20:-20, 20:-20].std(), waves(0).std(), rtol=0.1)


def test_a_restored_image_may_be_larger():
    larger = np.kron(PHOTO, np.ones((2, 2, 1), np.uint8)).astype(np.float32)
    assert SteadyRestoration()(PHOTO, larger).shape == (400, 400, 3)
