from math import floor
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.lipsync.compositing import (
    FEATHER_FRACTION,
    MAX_SHIFT,
    MAX_UNEVENNESS,
    Patch,
    _weights,
    apply_patch,
    painted_patch,
    resize_image,
    whole_patch,
)

RECORDED = np.load(Path(__file__).parents[1] / "data" / "pipeline.npz")
MODES = ("cross", "reconstruction", "random", "voxceleb2")
SKIN, LIPS, MOUTH = (205, 160, 140), (150, 50, 50), (25, 8, 8)

whole_boxes = st.builds(
    lambda x, y, width, height: FaceBox(x, y, x + width, y + height),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(1, 60),
    st.integers(1, 60),
)


def recorded_boxes(mode: str) -> list[FaceBox]:
    return [FaceBox(x1, y1, x2, y2) for y1, y2, x1, x2 in RECORDED[f"{mode}.boxes_y1y2x1x2"].tolist()]


def kept_indices(mode: str) -> list[int]:
    """The numbers of the frames in `output_frames`."""
    return RECORDED["output_frame_indices"].tolist()[: len(RECORDED[f"{mode}.output_frames"])]


def inside(frame: np.ndarray, box: FaceBox) -> np.ndarray:
    return frame[box.y1 : box.y2, box.x1 : box.x2]


def crop_of(frame: np.ndarray, box: FaceBox, size: int = 128) -> np.ndarray:
    return resize_image(inside(frame, box), size, size)


def paste(frame: np.ndarray, box: FaceBox, face: np.ndarray, fraction: float = 0.5, size: int = 128) -> np.ndarray:
    """The frame with a painted face in levels of 0..255, not rounded, in its lower part."""
    painted = np.clip(face / 255, 0, 1).astype(np.float32)
    return apply_patch(frame, painted_patch(inside(frame, box), box, crop_of(frame, box, size), painted, fraction))


def repainted(crop: np.ndarray, lower_half: np.ndarray) -> np.ndarray:
    """What the pipeline returns: the crop's upper half and a painted lower one, in levels."""
    half = len(crop) // 2
    return np.concatenate([crop[:half], lower_half[half:]]).astype(np.float32)


def lower(frame: np.ndarray, box: FaceBox) -> np.ndarray:
    return inside(frame, box)[box.height - box.height // 2 :].astype(float)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def large_portrait(portrait) -> np.ndarray:
    """The portrait in four times its size, with grain as fine as a camera's, so that it is sharp."""
    large = np.asarray(Image.fromarray(portrait).resize((2048, 2048), Image.Resampling.BICUBIC))
    grain = np.random.default_rng(0).normal(0, 10, (2048, 2048, 1))
    return (large + grain).clip(0, 255).round().astype(np.uint8)


PORTRAIT_BOX, LARGE_BOX = FaceBox(155, 55, 295, 205), FaceBox(620, 220, 1220, 820)


def drawn_face(size: int, mouth: str, x: int = 0) -> np.ndarray:
    """A flat face with hard edges: no mouth, a closed or an open one, moved to the right by x of 600."""
    picture = Image.new("RGB", (size, size), SKIN)
    draw, scale = ImageDraw.Draw(picture), size / 600

    def ellipse(center_y, radius_x, radius_y, color):
        left, right = (300 + x - radius_x) * scale, (300 + x + radius_x) * scale
        draw.ellipse([left, (center_y - radius_y) * scale, right, (center_y + radius_y) * scale], fill=color)

    if mouth == "closed":
        ellipse(445, 100, 16, LIPS)
        ellipse(445, 95, 4, MOUTH)
    elif mouth == "open":
        ellipse(450, 90, 60, LIPS)
        ellipse(450, 75, 42, MOUTH)
    return np.asarray(picture)


def sharpness(picture: np.ndarray) -> float:
    """Mean absolute second difference along rows, in levels."""
    return np.abs(np.diff(picture.astype(float), 2, axis=1)).mean()


# Cropping


@pytest.mark.parametrize("mode", MODES)
def test_crops_are_those_of_the_original(mode):
    crops = RECORDED[f"{mode}.crops"].astype(int)
    for frame, box, crop in zip(RECORDED["frames"], recorded_boxes(mode), crops, strict=True):
        assert np.abs(crop_of(frame, box, 64).astype(int) - crop).max() <= 1


def test_a_crop_in_its_own_size_is_the_picture_itself():
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop_of(frame, FaceBox(11, 7, 43, 39), 32), frame[7:39, 11:43])


def test_cropping_takes_flipped_and_read_only_pictures():
    frame = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    frame.flags.writeable = False
    flipped = crop_of(frame[:, ::-1], FaceBox(10, 10, 40, 40), 24)
    # What leaves the frame at x enters the flipped one at 70 - x.
    np.testing.assert_array_equal(flipped[:, ::-1], crop_of(frame, FaceBox(30, 10, 60, 40), 24))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255))
def test_a_flat_picture_stays_flat_in_any_size(width, height, level):
    image = np.full((5, 3, 3), level, np.uint8)
    np.testing.assert_array_equal(resize_image(image, width, height), np.full((height, width, 3), level, np.uint8))


# Blending


def test_blending_rounds_to_the_nearest_level_halves_up():
    rgb = np.array([100, 101, 102, 103], np.float32)[:, None, None].repeat(3, axis=-1)
    patch = Patch(FaceBox(1, 0, 2, 4), rgb, np.full((4, 1), 0.5, np.float32))
    blended = apply_patch(np.full((4, 3, 3), 100, np.uint8), patch)
    assert blended[:, 1, 0].tolist() == [100, 101, 101, 102]
    assert (blended[:, [0, 2]] == 100).all()


# Pasting the whole box


@pytest.mark.parametrize("mode", MODES)
def test_the_unpainted_half_of_a_paste_is_the_originals(mode):
    found, crops, frames = recorded_boxes(mode), RECORDED[f"{mode}.crops"], RECORDED["frames"]
    for index, output in zip(kept_indices(mode), RECORDED[f"{mode}.output_frames"].astype(int), strict=True):
        source = 0 if mode == "reconstruction" else index  # which repeats the first frame
        box, frame = found[source], frames[source]
        pasted = apply_patch(frame, whole_patch(box, crops[source])).astype(int)
        # The seam's row is a mixture of both halves.
        rows = slice(box.y1, box.y1 + box.height // 2 - 2)
        assert np.abs(pasted[rows, box.x1 : box.x2] - output[rows, box.x1 : box.x2]).max() <= 2
        outside = np.ones(frame.shape[:2], bool)
        outside[box.y1 : box.y2, box.x1 : box.x2] = False
        # The recorded frames are what the original handed to its encoder: nothing else is changed there either.
        np.testing.assert_array_equal(pasted[outside], output[outside])


@given(whole_boxes)
def test_a_whole_paste_fills_its_box_exactly(box):
    frame = np.random.default_rng(0).integers(0, 200, (90, 90, 3), dtype=np.uint8)
    untouched = frame.copy()
    pasted = apply_patch(frame, whole_patch(box, np.full((8, 8, 3), 255, np.uint8)))
    covered = np.zeros((90, 90), bool)
    covered[box.y1 : box.y2, box.x1 : box.x2] = True
    assert (pasted[covered] == 255).all()
    np.testing.assert_array_equal(pasted[~covered], frame[~covered])
    np.testing.assert_array_equal(frame, untouched)


def test_a_whole_paste_is_the_resized_face_to_the_level():
    face = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    pasted = apply_patch(np.zeros((80, 80, 3), np.uint8), whole_patch(FaceBox(3, 5, 50, 78), face))
    np.testing.assert_array_equal(pasted[5:78, 3:50], resize_image(face, 47, 73))


# Pasting the painted part with soft edges


@settings(deadline=None)
@given(whole_boxes, st.sampled_from([0.01, 0.1, 0.3, 0.5, 0.75, 1.0]))
def test_a_soft_paste_touches_only_the_painted_part_and_stays_between_both_pictures(box, fraction):
    frame = np.random.default_rng(0).integers(0, 200, (90, 90, 3), dtype=np.uint8)
    untouched = frame.copy()
    pasted = paste(frame, box, np.full((8, 8, 3), 255), fraction, size=8)
    rows = floor(box.height * fraction)
    covered = np.zeros((90, 90), bool)
    covered[box.y2 - rows : box.y2, box.x1 : box.x2] = True
    np.testing.assert_array_equal(pasted[~covered], frame[~covered])
    np.testing.assert_array_equal(frame, untouched)
    # Opacities in 0..1 give values between the frame's and the face's, which is white; beyond them they wrap around.
    assert (pasted[covered] >= frame[covered]).all()
    assert pasted.dtype == np.uint8


def test_a_patch_is_what_the_frame_needs():
    frame, box = np.full((100, 120, 3), 90, np.uint8), FaceBox(10, 20, 73, 81)
    patch = painted_patch(inside(frame, box), box, crop_of(frame, box, 32), np.ones((32, 32, 3), np.float32))
    assert patch.box == FaceBox(10, 51, 73, 81)
    assert patch.rgb.shape == (30, 63, 3) and patch.opacity.shape == (30, 63)
    assert patch.rgb.dtype == patch.opacity.dtype == np.float32
    assert patch.rgb.min() >= 0 and patch.rgb.max() <= 255
    assert patch.opacity.min() >= 0 and patch.opacity.max() <= 1


def test_the_middle_of_a_soft_paste_is_opaque_and_its_edges_fall_off_smoothly():
    frame, box = np.zeros((220, 220, 3), np.uint8), FaceBox(10, 10, 210, 210)
    opacity = paste(frame, box, np.full((64, 64, 3), 255), size=64)[..., 0] / 255
    soft = int(np.ceil(FEATHER_FRACTION * 200))
    assert (opacity[110 + soft : 210 - soft, 10 + soft : 210 - soft] == 1).all()
    for profile in (opacity[110:160, 110], opacity[209:160:-1, 110], opacity[160, 10:110], opacity[160, 209:109:-1]):
        assert profile[0] < 0.01
        assert (np.diff(profile) >= 0).all() and np.diff(profile).max() < 0.12


@pytest.mark.parametrize("width, height", [(64, 64), (100, 120), (37, 51), (200, 200)])
def test_pasting_a_crop_of_a_smooth_picture_back_changes_hardly_anything(width, height):
    rows, columns = np.mgrid[0:220, 0:220]
    waves = [127 + 100 * np.sin(rows / 31 + k) * np.cos(columns / 29 + k) for k in range(3)]
    frame = np.stack(waves, axis=-1).round().astype(np.uint8)
    box = FaceBox(8, 12, 8 + width, 12 + height)
    pasted = paste(frame, box, crop_of(frame, box, 64), size=64)
    difference = np.abs(pasted.astype(int) - frame)[12 + height - height // 2 : 12 + height, 8 : 8 + width]
    assert difference.max() <= 1


@pytest.mark.parametrize("width, height", [(1, 1), (1, 2), (2, 1), (2, 3), (8, 8), (3, 40), (40, 3)])
@pytest.mark.parametrize("size", [1, 8, 64])
def test_tiny_boxes_can_be_pasted(width, height, size):
    frame = np.full((60, 60, 3), 100, np.uint8)
    box = FaceBox(10, 10, 10 + width, 10 + height)
    with np.errstate(all="raise"):
        pasted = paste(frame, box, np.full((size, size, 3), 100), size=size)
    assert np.abs(pasted.astype(int) - frame).max() <= 1
    np.testing.assert_array_equal(apply_patch(frame, whole_patch(box, np.full((64, 64, 3), 100, np.uint8))), frame)


def test_a_face_that_overshoots_is_clipped_and_does_not_wrap_around():
    """Cubic resizing overshoots at hard edges."""
    face = np.zeros((16, 16, 3), np.float32)
    face[::4] = 255
    face[1::4] = 255
    pasted = paste(np.full((220, 220, 3), 128, np.uint8), FaceBox(10, 10, 210, 210), face, size=16)
    inner = pasted[130:190, 110, 0].astype(int)
    assert inner.max() == 255 and inner.min() == 0
    assert np.abs(np.diff(inner)).max() < 60


# Nothing painted, nothing changed


@settings(deadline=None, max_examples=40)
@given(
    st.integers(100, 260),
    st.integers(40, 160),
    st.integers(10, 250),
    st.integers(10, 300),
    st.sampled_from([0.3, 0.5, 1]),
)
def test_the_crop_itself_leaves_every_picture_as_it_is(x, y, width, height, fraction):
    frame, box = skimage.data.astronaut(), FaceBox(x, y, x + width, y + height)
    np.testing.assert_array_equal(paste(frame, box, crop_of(frame, box), fraction), frame)


@pytest.mark.parametrize("noise, most", [(2, 0.3), (5, 0.8)])
def test_noise_of_the_model_neither_shows_nor_blurs(large_portrait, noise, most):
    crop = crop_of(large_portrait, LARGE_BOX)
    noisy = crop + np.random.default_rng(1).normal(0, noise, crop.shape)
    before = lower(large_portrait, LARGE_BOX)
    after = lower(paste(large_portrait, LARGE_BOX, repainted(crop, noisy)), LARGE_BOX)
    assert np.abs(after - before).mean() < most
    assert sharpness(after) == pytest.approx(sharpness(before), rel=0.02)


def test_soft_shade_on_the_skin_is_laid_over_the_frames_own_detail(large_portrait):
    crop = crop_of(large_portrait, LARGE_BOX)
    where = (np.arange(600) + 0.5) * 128 / 600 - 0.5
    dent, large_dent = (6 * np.exp(-(((x - 64) / 15) ** 2)) for x in (np.arange(128), where))
    shade = np.outer(np.exp(-(((np.arange(128) - 98) / 10) ** 2)), dent)[..., None]
    large_shade = np.outer(np.exp(-(((where - 98) / 10) ** 2)), large_dent)[300:, :, None]
    before = lower(large_portrait, LARGE_BOX)
    after = lower(paste(large_portrait, LARGE_BOX, repainted(crop, crop - shade)), LARGE_BOX)
    unclipped = (before > 6).all(axis=-1)
    np.testing.assert_allclose(after[unclipped], (before - large_shade)[unclipped], atol=1.5)


# Colours


@pytest.mark.parametrize("tint", [(40, 40, 40), (12, 12, 12), (-12, -12, -12), (-40, -40, -40), (30, -20, 8)])
@pytest.mark.parametrize("large", [False, True])
def test_a_painted_part_that_is_too_bright_or_tinted_gets_the_frames_colors(portrait, large_portrait, tint, large):
    frame, box = (large_portrait, LARGE_BOX) if large else (portrait, PORTRAIT_BOX)
    crop = crop_of(frame, box)
    off = (crop + np.array(tint)).clip(0, 255)
    noisy = (off + np.random.default_rng(1).normal(0, 2, crop.shape)).clip(0, 255)
    for painted in (off, noisy):
        left = np.abs(lower(paste(frame, box, repainted(crop, painted)), box) - lower(frame, box)).mean()
        assert left < 0.1 * np.abs(tint).mean()


def test_the_colors_are_matched_where_the_mouth_changed_too():
    frame, box = drawn_face(600, "closed"), FaceBox(0, 0, 600, 600)
    crop = crop_of(frame, box)
    painted = resize_image(drawn_face(600, "open"), 128, 128)
    right = paste(frame, box, repainted(crop, painted))
    tinted = paste(frame, box, repainted(crop, painted + np.array([25, -4, 30])))
    assert np.abs(right.astype(int) - tinted).max() <= 1


def test_light_that_differs_from_left_to_right_is_evened_out(portrait):
    crop = crop_of(portrait, PORTRAIT_BOX)
    slope = np.linspace(-10, 10, 128)[None, :, None]
    painted = (crop + (15 + slope)).clip(0, 255)
    left = lower(paste(portrait, PORTRAIT_BOX, repainted(crop, painted)), PORTRAIT_BOX)
    assert np.abs(left - lower(portrait, PORTRAIT_BOX)).mean() < 0.5


@pytest.mark.parametrize("level", [250, 5])
def test_a_wild_face_is_shifted_by_no_more_than_the_limit(level):
    frame, box = np.full((200, 200, 3), 128, np.uint8), FaceBox(0, 0, 200, 200)
    crop = crop_of(frame, box)
    patch = painted_patch(frame, box, crop, (repainted(crop, np.full((128, 128, 3), level)) / 255))
    assert np.abs(patch.rgb - level).max() == pytest.approx(MAX_SHIFT, abs=0.1)


def test_a_background_painted_wrongly_on_one_side_hardly_tints_the_face(portrait):
    crop = crop_of(portrait, PORTRAIT_BOX)
    painted = crop.astype(float)
    painted[:, 112:] = 128 + 100 * np.sin(np.arange(16))[:, None]
    before, after = lower(portrait, PORTRAIT_BOX), lower(paste(portrait, PORTRAIT_BOX, painted), PORTRAIT_BOX)
    assert np.abs(after - before)[:, :70].max() <= 1
    assert np.abs(after - before)[:, 70:110].max() <= MAX_UNEVENNESS


def test_no_edge_shows_along_the_middle_of_the_face(large_portrait):
    crop = crop_of(large_portrait, LARGE_BOX)
    painted = crop + np.random.default_rng(1).normal(20, 3, crop.shape)
    after = inside(paste(large_portrait, LARGE_BOX, repainted(crop, painted.clip(0, 255))), LARGE_BOX).astype(float)
    brightness = (after - inside(large_portrait, LARGE_BOX)).mean(axis=(1, 2))
    assert np.abs(brightness[290:360]).max() < 1


# The old mouth and the face's detail


@pytest.mark.parametrize("mouth", ["closed", "open"])
def test_a_mouth_that_was_painted_over_leaves_no_trace(mouth):
    frame, box = drawn_face(600, mouth), FaceBox(0, 0, 600, 600)
    pasted = paste(frame, box, repainted(crop_of(frame, box), drawn_face(128, "none")))
    np.testing.assert_allclose(lower(pasted, box), np.broadcast_to(SKIN, (300, 600, 3)), atol=1)


@pytest.mark.parametrize("old, new, x", [("closed", "open", 0), ("open", "closed", 0), ("open", "open", 40)])
def test_the_new_mouth_looks_the_same_whatever_mouth_was_there(old, new, x):
    box, face = FaceBox(0, 0, 600, 600), drawn_face(128, new, x)
    frame, empty = drawn_face(600, old), drawn_face(600, "none")
    over_old, over_none = (paste(each, box, repainted(crop_of(each, box), face)) for each in (frame, empty))
    assert np.abs(over_old.astype(int) - over_none).max() <= 2
    # And it is the new one: the share of it that lies farther than a crop pixel from an edge has the right color.
    wanted = drawn_face(600, new, x)[300:].astype(int)
    assert np.percentile(np.abs(lower(over_old, box) - wanted).max(axis=-1), 90) <= 2


def test_cheeks_stay_sharp_beside_a_new_mouth_and_the_mouth_is_as_smooth_as_it_was_painted(large_portrait):
    crop = crop_of(large_portrait, LARGE_BOX)
    painted = crop.astype(float)
    painted[80:110, 44:84] = MOUTH
    before = lower(large_portrait, LARGE_BOX)
    after = lower(paste(large_portrait, LARGE_BOX, repainted(crop, painted)), LARGE_BOX)
    for columns in (slice(0, 160), slice(440, 600)):
        np.testing.assert_allclose(after[:, columns], before[:, columns], atol=1)
    mouth = after[90:200, 220:380]
    np.testing.assert_allclose(mouth, np.broadcast_to(MOUTH, mouth.shape), atol=4)
    assert sharpness(mouth) < 0.05 * sharpness(before[90:200, 220:380])


# A face that was restored to a higher resolution


def test_a_larger_face_that_shows_the_same_changes_little(large_portrait):
    crop = crop_of(large_portrait, LARGE_BOX)
    larger = np.asarray(Image.fromarray(crop).resize((512, 512), Image.Resampling.BICUBIC)).astype(float)
    before = lower(large_portrait, LARGE_BOX)
    for shift in (0, 20):
        after = lower(paste(large_portrait, LARGE_BOX, (larger + shift).clip(0, 255)), LARGE_BOX)
        assert np.abs(after - before).mean() < 1
        assert sharpness(after) == pytest.approx(sharpness(before), rel=0.05)


def test_a_larger_face_shows_a_sharper_mouth():
    frame, box = drawn_face(600, "closed"), FaceBox(0, 0, 600, 600)
    wanted = drawn_face(600, "open")[300:].astype(int)
    errors = [np.abs(lower(paste(frame, box, drawn_face(n, "open")), box) - wanted).mean() for n in (128, 256, 512)]
    assert errors[2] < 0.6 * errors[1] < 0.4 * errors[0], errors


# Resampling


def step_and_kink(weights: np.ndarray) -> tuple[float, float]:
    """How far a step of 1 overshoots, and the largest jump of slope where the slope changes by 2, both enlarged."""
    n, m = weights.T.shape
    step, kink = weights @ (np.arange(n) >= n // 2), weights @ np.abs(np.arange(n) - n // 2)
    return max(step.max() - 1, -step.min()), np.abs(np.diff(kink, 2)).max() * m / n


def weights_of_torch(mode: str, n: int, m: int, antialias: bool = False) -> np.ndarray:
    rows = torch.eye(n, dtype=torch.float64)[None, None]
    return F.interpolate(rows, size=(m, n), mode=mode, antialias=antialias)[0, 0].numpy()


def weights_of_pillow(n: int, m: int) -> np.ndarray:
    columns = [Image.fromarray(row[:, None]).resize((1, m), Image.Resampling.LANCZOS) for row in np.eye(n, dtype="f4")]
    return np.concatenate([np.asarray(column) for column in columns], axis=1)


def test_enlarging_neither_rings_like_a_sharp_kernel_nor_shows_blocks_like_a_bilinear_one():
    overshoot, jump = step_and_kink(_weights(128, 600).numpy())
    assert overshoot < 0.012
    for peer in (weights_of_torch("bicubic", 128, 600), weights_of_torch("bicubic", 128, 600, True)):
        assert overshoot < 0.2 * step_and_kink(peer)[0]
    assert overshoot < 0.2 * step_and_kink(weights_of_pillow(128, 600))[0]
    assert jump < 0.4 * step_and_kink(weights_of_torch("bilinear", 128, 600))[1]


def test_smooth_waves_are_enlarged_without_steps():
    """A wave of 16 pixels: the error is an even loss of height, not a pattern at the pixels' distance."""
    where = (np.arange(600) + 0.5) * 128 / 600 - 0.5
    enlarged, wave = (
        _weights(128, 600).numpy() @ np.sin(2 * np.pi * np.arange(128) / 16),
        np.sin(2 * np.pi * where / 16),
    )
    gain = enlarged[20:-20] @ wave[20:-20] / (wave[20:-20] @ wave[20:-20])
    assert gain > 0.98
    assert np.abs(enlarged - gain * wave)[20:-20].max() < 0.001


@pytest.mark.parametrize("n, m", [(128, 37), (128, 100), (512, 128), (128, 127)])
def test_shrinking_is_antialiased_as_in_torch(n, m):
    inner = slice(2, -2)  # which treats the edges in another way
    np.testing.assert_allclose(_weights(n, m)[inner], weights_of_torch("bicubic", n, m, True)[inner], atol=2e-3)


@given(st.integers(1, 200), st.integers(1, 900))
@settings(deadline=None)
def test_every_size_keeps_levels_and_slopes(n, m):
    weights = _weights(n, m).numpy().astype(float)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    where = (np.arange(m) + 0.5) * n / m - 0.5
    margin = 2 * max(1, n / m)
    inner = (where > margin) & (where < n - 1 - margin)
    if m >= n:  # fewer samples of a wider kernel keep slopes only nearly
        np.testing.assert_allclose((weights @ np.arange(n))[inner], where[inner], atol=1e-3)


def test_the_same_size_is_the_same_picture():
    np.testing.assert_array_equal(_weights(128, 128), np.eye(128))
