from dataclasses import astuple
from math import floor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff2lip_diffusers.boxes import FaceBox, voxceleb2_box

RECORDED = np.load(Path(__file__).parent / "data" / "pipeline.npz")
PADS, FRAME_PX = (0, 6, 2, 2), 216
FACE, ELSEWHERE = FaceBox(20, 30, 60, 90), FaceBox(120, 30, 160, 90)

edges = st.integers(-40, 80)
boxes = st.builds(FaceBox, edges, edges, edges, edges)
whole_boxes = st.builds(
    lambda x, y, width, height: FaceBox(x, y, x + width, y + height),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 60),
    st.integers(1, 60),
)


def shifted(box: FaceBox, dx: float, dy: float = 0) -> FaceBox:
    return FaceBox(box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


def recorded_boxes(mode: str) -> list[FaceBox]:
    return [FaceBox(x1, y1, x2, y2) for y1, y2, x1, x2 in RECORDED[f"{mode}.boxes_y1y2x1x2"].tolist()]


# FaceBox


@given(boxes, boxes)
def test_area_and_iou_are_those_of_counted_pixels(first, second):
    grid = np.arange(-40, 80)

    def covered(box):
        columns, rows = ((low <= grid) & (grid < high) for low, high in ((box.x1, box.x2), (box.y1, box.y2)))
        return np.outer(rows, columns)

    a, b = covered(first), covered(second)
    assert first.area == a.sum() and first.width * first.height == a.sum()
    union = (a | b).sum()
    assert first.iou(second) == pytest.approx((a & b).sum() / union if union else 0)
    assert first.iou(second) == second.iou(first)


def test_iou_of_half_overlapping_boxes():
    assert FACE.iou(FACE) == 1
    assert FACE.iou(shifted(FACE, 20)) == pytest.approx(1 / 3)
    assert FACE.iou(ELSEWHERE) == FACE.iou(shifted(FACE, 40)) == 0  # touching is not overlapping


@given(whole_boxes, st.tuples(*[st.integers(0, 9)] * 4))
def test_padding_adds_to_the_named_sides_and_is_undone_by_its_negative(box, pads):
    top, bottom, left, right = pads
    padded = box.padded(*pads)
    assert (padded.width, padded.height) == (box.width + left + right, box.height + top + bottom)
    assert (box.y1 - padded.y1, padded.y2 - box.y2, box.x1 - padded.x1, padded.x2 - box.x2) == pads
    assert padded.padded(*(-pad for pad in pads)) == box


def test_scaling_is_per_axis():
    assert FaceBox(1, 2, 3, 5).scaled(10, 100) == FaceBox(10, 200, 30, 500)


@given(boxes, boxes, *[st.sampled_from([0.25, 0.5, 2, 3, 8])] * 2)
def test_scaling_keeps_overlaps_and_is_undone_by_its_inverse(first, second, sx, sy):
    assert first.scaled(sx, sy).area == pytest.approx(first.area * sx * sy)
    assert first.scaled(sx, sy).iou(second.scaled(sx, sy)) == pytest.approx(first.iou(second))
    assert astuple(first.scaled(sx, sy).scaled(1 / sx, 1 / sy)) == pytest.approx(astuple(first))


@given(boxes, st.integers(1, 60), st.integers(1, 60))
def test_clipping_is_the_intersection_with_the_frame(box, width, height):
    clipped = box.clipped(width, height)
    frame = FaceBox(0, 0, width, height)
    assert clipped.area == pytest.approx(box.iou(frame) * (box.area + frame.area) / (1 + box.iou(frame)))
    if clipped.area:
        assert clipped.x1 >= 0 and clipped.y1 >= 0 and clipped.x2 <= width and clipped.y2 <= height
        assert clipped.clipped(width, height) == clipped


@given(st.tuples(*[st.floats(-1000, 1000)] * 4))
def test_rounding_goes_to_the_nearest_and_halves_up(numbers):
    rounded = FaceBox(*numbers).rounded()
    assert all(isinstance(edge, int) for edge in astuple(rounded))
    assert all(abs(edge - number) <= 0.5 for edge, number in zip(astuple(rounded), numbers, strict=True))
    assert FaceBox(0.5, 1.5, -0.5, 2.49).rounded() == FaceBox(1, 2, 0, 2)


def test_the_voxceleb2_box_is_the_originals():
    assert recorded_boxes("voxceleb2") == [voxceleb2_box(FRAME_PX, FRAME_PX)] * 13


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_the_voxceleb2_box_is_inside_the_frame_and_never_empty(width, height):
    box = voxceleb2_box(width, height)
    assert box.clipped(width, height) == box
    assert box.area > 0
    assert box.x1 == width - box.x2 == floor(width * 1.8 / 8) and box.y1 == 0
