import numpy as np
import pytest

from diff2lip_diffusers.corpus.brushes import (
    between,
    blob,
    bump,
    color,
    inside,
    line_noise,
    look_up,
    paint,
    plane_noise,
    smooth,
    smooth_curve,
    tint,
)

LINE = np.linspace(-2, 2, 401, dtype=np.float32)


def test_smooth_rises_or_falls_between_its_ends():
    rising, falling = smooth(-1, 1, LINE), smooth(1, -1, LINE)
    assert np.allclose(rising + falling, 1, atol=1e-6)
    assert (np.diff(rising) >= 0).all() and rising[0] == 0 and rising[-1] == 1
    assert smooth(0, 1, 0.25) == pytest.approx(0.15625)


def test_a_number_stays_a_number_so_that_planes_stay_float32():
    assert type(smooth(0, 1, 0.3)) is float
    assert (LINE * smooth(0, 1, 0.3)).dtype == np.float32


def test_bump_and_blob_are_gaussians():
    assert np.allclose(bump(LINE, 0.5, 0.7), np.exp(-0.5 * ((LINE - 0.5) / 0.7) ** 2), atol=1e-6)
    assert blob(0.3, -0.2, (0.1, 0.2), (0.2, 0.4)) == pytest.approx(np.exp(-0.5 * (1 + 1)))


def test_coverage_of_an_edge_is_the_area_on_its_inside():
    assert inside(np.array([-1, -0.25, 0, 0.25, 1]), 1.0).tolist() == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(("top", "bottom"), [(2.3, 6.8), (3.1, 3.4), (3.4, 3.1), (0.0, 9.0), (4.5, 4.5)])
def test_a_band_covers_as_many_pixels_as_it_is_high(top, bottom):
    rows = np.arange(10) + 0.5
    assert between(rows, top, bottom, 1.0).sum() == pytest.approx(max(0, bottom - top))


def test_paint_and_tint_by_hand():
    canvas = np.full((3, 1, 2), 0.5, dtype=np.float32)
    paint(canvas, color((255, 0, 51)), np.float32([[1, 0.5]]))
    assert np.allclose(canvas[:, 0], [[1, 0.75], [0, 0.25], [0.2, 0.35]])
    tint(canvas, np.float32(0.5), np.float32([[1, 0]]))
    assert np.allclose(canvas[:, 0], [[0.5, 0.75], [0, 0.25], [0.1, 0.35]])


def test_a_table_is_read_back_and_clamped():
    table = smooth_curve([(0, 1), (1, 3)], 0, 1, 1001)
    x = np.float32([-5, 0, 0.25, 0.5, 1, 5])
    assert np.allclose(look_up(table, 0, 1, x), [1, 1, 1.5, 2, 3, 3], atol=2e-3)


def test_softness_rounds_a_step_and_keeps_its_ends():
    table = smooth_curve([(0, 0), (0.5, 0), (0.5001, 1), (1, 1)], 0, 1, 1001, softness=0.05)
    assert table[0] == pytest.approx(0, abs=1e-6) and table[-1] == pytest.approx(1, abs=1e-6)
    assert table[500] == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.diff(table)).max() < 0.01


def test_line_noise_closes_its_circle():
    line = line_noise(np.random.default_rng(0), 1000, (7, 13))
    assert abs(line[0] - line[-1]) < 3 * np.abs(np.diff(line)).max()
    assert 0.4 < line.std() < 1.5


def test_plane_noise_is_smooth_at_its_scale():
    plane = plane_noise(np.random.default_rng(0), (120, 160), (12, 16))
    assert plane.shape == (120, 160) and plane.dtype == np.float32
    assert 0.4 < plane.std() < 1.2
    assert np.abs(np.diff(plane, axis=0)).max() < 0.5
