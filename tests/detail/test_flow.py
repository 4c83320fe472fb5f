import cv2
import numpy as np
import skimage.data

from diff2lip_diffusers.detail.flow import find_flow, warped

PHOTO = cv2.resize(skimage.data.camera(), (200, 130), interpolation=cv2.INTER_AREA)


def shifted(across: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """The photo, and itself moved."""
    return PHOTO[20:110, 20:180], PHOTO[20 - down : 110 - down, 20 - across : 180 - across]


def test_flow_of_a_moved_picture_is_the_motion():
    flow = find_flow(*shifted(3, -2))[15:-15, 15:-15]
    assert np.median(np.abs(flow - [3, -2])) < 0.1


def test_flow_begins_at_the_shift():
    here, there = shifted(18, 0)
    begun = np.abs(find_flow(here, there, (18, 0))[20:-20, 30:-30] - [18, 0])
    assert np.median(begun) < 0.1


def test_warping_along_the_flow_brings_back_the_picture():
    here, there = shifted(3, -2)
    error = np.abs(warped(there, find_flow(here, there)).astype(float) - here)[15:-15, 15:-15]
    assert error.mean() < 2 < np.abs(here.astype(float) - there)[15:-15, 15:-15].mean()


def test_a_flow_may_be_smaller_than_the_image():
    image = np.random.default_rng(0).integers(0, 255, (40, 80, 3)).astype(np.uint8)
    flow = np.full((10, 20, 2), (1, 0), np.float32)  # one pixel of the flow is four of the image
    np.testing.assert_array_equal(warped(image, flow)[:, :-4], image[:, 4:])


def test_flow_does_not_depend_on_the_number_of_threads():
    threads, found = cv2.getNumThreads(), []
    for count in (1, 4):
        cv2.setNumThreads(count)
        found.append(find_flow(*shifted(5, 2)))
        assert cv2.getNumThreads() == count
    cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*found)
