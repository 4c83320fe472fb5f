from dataclasses import astuple

import numpy as np
import pytest
from helpers.prepare_films import FACE, HEIGHT, WIDTH, other_place, portrait

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.lipsync.compositing import resize_image
from diff2lip_diffusers.lipsync.face_boxes import BoxedFrame
from diff2lip_diffusers.media.frame import Frame
from diff2lip_diffusers.prepare.segments import CUT_PX, PREVIEW_PX, read_segments

ELSEWHERE = FaceBox(200, 180, 300, 290)


def segments(frames, boxes, least=5, most=20, border=10**9):
    pictures = [
        BoxedFrame(number, Frame.from_rgb(frame), (box,))
        for number, (frame, box) in enumerate(zip(frames, boxes, strict=True))
    ]
    return list(read_segments(pictures, 32, least, most, border))


def places(found):
    return [(segment.start, segment.count, segment.has_face) for segment in found]


def test_a_cut_ends_a_segment_even_where_the_face_stays():
    frames = [portrait()] * 7 + [255 - portrait()] * 6
    assert places(segments(frames, [FACE] * 13)) == [(0, 7, True), (7, 6, True)]


def test_a_face_that_goes_or_jumps_ends_a_segment():
    boxes = [FACE] * 3 + [None] * 4 + [FACE] * 5 + [ELSEWHERE] * 2
    assert places(segments([portrait()] * 14, boxes)) == [(0, 3, True), (3, 4, False), (7, 5, True), (12, 2, True)]


def test_a_border_is_kept():
    assert places(segments([portrait()] * 9, [FACE] * 9, border=6)) == [(0, 6, True), (6, 3, True)]


@pytest.mark.parametrize("count", [1, 5, 20, 21, 24, 25, 26, 41, 60, 103])
def test_long_shots_are_cut_without_loss(count):
    found = segments([portrait()] * count, [FACE] * count)
    assert [segment.start for segment in found] == np.cumsum([0, *(segment.count for segment in found)])[:-1].tolist()
    assert sum(segment.count for segment in found) == count
    assert all(segment.count <= 20 and len(segment.crops) == segment.count for segment in found)
    assert all(segment.count >= min(5, count) for segment in found)


def test_what_has_no_face_stays_in_one_piece():
    (found,) = segments([other_place()] * 70, [None] * 70)
    assert places([found]) == [(0, 70, False)]
    assert max(found.preview.shape) <= PREVIEW_PX


def test_crops_are_those_of_the_program():
    frames = [portrait(number) for number in range(12)]
    (found,) = segments(frames, [FACE] * 12)
    x1, y1, x2, y2 = astuple(FACE)
    for frame, crop in zip(frames, found.crops, strict=True):
        assert np.array_equal(crop.pixels, resize_image(frame[y1:y2, x1:x2], 32, 32))
        assert crop.side_px == 100
    assert [crop.sharpness is not None for crop in found.crops] == [number % 5 == 0 for number in range(12)]


def test_films_are_as_small_as_their_thumbnails():
    """So that the tests above see cuts at the size that films have."""
    assert max(WIDTH, HEIGHT) <= CUT_PX
