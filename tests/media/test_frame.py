import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.lipsync.option_values import MIN_BOX_PX
from diff2lip_diffusers.media.decoded_frames import upright_frame
from diff2lip_diffusers.media.frame import ColorTags, Frame
from diff2lip_diffusers.media.pixel_formats import encodable_size

AS_STORED = (1, 0, 0, 1)
BT709, FULL = 1, 2
LIMITED = 1


def smooth_rgb(height: int = 48, width: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [110 + 50 * np.sin(columns / 12), 120 + 50 * np.cos(rows / 11), 130 + 40 * np.sin((rows + columns) / 14)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def frame_of(rgb: np.ndarray, format: str, matrix: int = BT709, color_range: int = LIMITED) -> av.VideoFrame:
    """A frame as a decoder gives it, converted by FFmpeg."""
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return frame.reformat(format=format, dst_colorspace=matrix, dst_color_range=color_range)


def random_frame(format: str = "yuv420p", height: int = 48, width: int = 64, **color) -> Frame:
    return upright_frame(frame_of(smooth_rgb(height, width), format, **color), AS_STORED)


PLANAR = ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv420p10le", "yuv422p10le", "yuv444p12le", "gbrp", "gbrp10le"]
OTHER = {
    "nv12": "yuv420p",
    "yuyv422": "yuv422p",
    "p010le": "yuv420p10le",
    "yuva420p": "yuv420p",
    "yuv411p": "yuv444p",
    "rgba": "gbrp",
    "bgr0": "gbrp",
    "rgb48le": "gbrp",
    "gbrap": "gbrp",
}


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("format", [*PLANAR, *OTHER])
def test_a_frame_of_any_format_has_the_colors_it_was_made_from(format, color_range):
    result = random_frame(format, color_range=color_range)
    assert result.format == OTHER.get(format, format)
    assert np.abs(result.rgb().astype(int) - smooth_rgb()).mean() < 2


@pytest.mark.parametrize("format", PLANAR)
def test_planes_are_the_decoders_own_numbers(format):
    frame = frame_of(smooth_rgb(), format)
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    for plane, own in zip(frame.planes, upright_frame(frame, AS_STORED).planes, strict=True):
        np.testing.assert_array_equal(np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width], own)


def test_gray_and_its_alpha():
    gray = smooth_rgb()[..., 0]
    for format, array in (("gray", gray), ("ya8", np.stack([gray, 255 - gray], axis=-1))):
        frame = av.VideoFrame(64, 48, format)
        plane = np.frombuffer(frame.planes[0], np.uint8).reshape(48, -1)
        plane[:, : array[0].size] = array.reshape(48, -1)
        frame.color_range = FULL
        result = upright_frame(frame, AS_STORED)
        np.testing.assert_array_equal(result.planes[0], gray)
        assert np.abs(result.rgb() - gray[..., None].astype(int)).max() <= 1


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp"])
@pytest.mark.parametrize(
    "matrix, turned",
    [
        ((1, 0, 0, 1), lambda rgb: rgb),
        ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, -1), lambda rgb: rgb[::-1, ::-1]),
        ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
    ],
)
def test_frames_are_turned_upright(format, matrix, turned):
    result = upright_frame(frame_of(smooth_rgb(), format), matrix)
    expected = turned(smooth_rgb()).astype(int)
    assert (result.height, result.width) == expected.shape[:2]
    assert np.abs(result.rgb() - expected).mean() < 2


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gbrp"]), st.sampled_from([48, 50]))
def test_a_part_is_cut_from_the_whole(data, format, size):
    whole = random_frame(format, size, size + 2)
    x1, y1 = data.draw(st.integers(0, size - MIN_BOX_PX)), data.draw(st.integers(0, size - MIN_BOX_PX))
    x2, y2 = data.draw(st.integers(x1 + MIN_BOX_PX, size + 2)), data.draw(st.integers(y1 + MIN_BOX_PX, size))
    # Of an odd size, swscale would stretch the chroma a little. It also rounds by the size of what it converts.
    assert np.abs(whole.rgb(FaceBox(x1, y1, x2, y2)).astype(int) - whole.rgb()[y1:y2, x1:x2]).max() <= 2


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from(["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gbrp"]), st.integers(47, 50))
def test_blending_changes_no_number_of_a_pixel_it_does_not_touch(data, format, size):
    before = random_frame(format, size, size + 3)
    x1, y1 = data.draw(st.integers(0, size - 2)), data.draw(st.integers(0, size - 2))
    box = FaceBox(x1, y1, data.draw(st.integers(x1 + 1, size + 3)), data.draw(st.integers(y1 + 1, size)))
    rgb = np.full((box.height, box.width, 3), (255, 0, 255), np.float32)
    copies = [plane.copy() for plane in before.planes]
    after = before.blended(box, rgb, np.ones(rgb.shape[:2], np.float32))
    for plane, new, copy in zip(before.planes, after.planes, copies, strict=True):
        np.testing.assert_array_equal(plane, copy)
        across, down = round(before.width / plane.shape[1]), round(before.height / plane.shape[0])
        untouched = np.ones(plane.shape, bool)
        untouched[box.y1 // down : -(-box.y2 // down), box.x1 // across : -(-box.x2 // across)] = False
        np.testing.assert_array_equal(new[untouched], plane[untouched])
    assert (after.planes[0] != before.planes[0]).any()
    none = before.blended(box, rgb, np.zeros(rgb.shape[:2], np.float32))
    assert all(np.array_equal(*pair) for pair in zip(none.planes, before.planes, strict=True))


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gbrp"])
def test_a_blended_color_is_the_color_that_is_read_back(format, matrix, color_range):
    color = np.array([200, 90, 40])
    rgb = np.broadcast_to(color.astype(np.float32), (20, 30, 3))
    painted = random_frame(format, matrix=matrix, color_range=color_range).blended(
        FaceBox(11, 9, 41, 29), rgb, np.ones((20, 30), np.float32)
    )
    assert np.abs(painted.rgb(FaceBox(14, 12, 38, 26)).astype(int) - color).max() <= 2


def test_half_opacity_is_the_mean():
    before = random_frame("yuv444p")
    rgb = np.full((20, 30, 3), 30, np.float32)
    after = before.blended(FaceBox(10, 10, 40, 30), rgb, np.full((20, 30), 0.5, np.float32))
    expected = (before.rgb()[10:30, 10:40].astype(int) + 30) / 2
    assert np.abs(after.rgb()[10:30, 10:40] - expected).max() <= 3


@pytest.mark.parametrize("format", ["yuv420p", "yuv422p10le", "gbrp"])
def test_an_encoder_of_the_same_format_gets_the_same_numbers(format):
    whole = random_frame(format, 47, 63)
    frame = whole.to_av_frame(format, *encodable_size(63, 47, format), ColorTags(BT709, LIMITED))
    again = upright_frame(frame, AS_STORED)
    for plane, copy in zip(whole.planes, again.planes, strict=True):
        np.testing.assert_array_equal(plane, copy[: plane.shape[0], : plane.shape[1]])


@pytest.mark.parametrize("odd", [(47, 63), (48, 63), (47, 64)])
def test_odd_sizes_repeat_the_last_row_and_column(odd):
    whole = random_frame("yuv420p", *odd)
    width, height = encodable_size(whole.width, whole.height, "yuv420p")
    assert (width % 2, height % 2) == (0, 0) and (width, height) >= (whole.width, whole.height)
    luma = upright_frame(whole.to_av_frame("yuv420p", width, height, ColorTags()), AS_STORED).planes[0]
    np.testing.assert_array_equal(luma[:, -1], luma[:, whole.width - 1])
    np.testing.assert_array_equal(luma[-1], luma[whole.height - 1])


def test_a_frame_of_another_kind_becomes_like_the_first():
    first = random_frame("yuv420p")
    other = upright_frame(frame_of(smooth_rgb(96, 128), "yuv444p10le"), AS_STORED, first)
    assert (other.width, other.height, other.format) == (64, 48, "yuv420p")
    assert np.abs(other.rgb()[::4, ::4].astype(int) - smooth_rgb(96, 128)[::8, ::8]).mean() < 4


def test_a_thumbnail_is_the_mean_of_its_pixels():
    whole = random_frame("yuv444p", 48, 64)
    small = whole.thumbnail(16, 12)
    expected = smooth_rgb().reshape(12, 4, 16, 4, 3).mean(axis=(1, 3))
    assert small.shape == (12, 16, 3) and np.abs(small - expected).mean() < 2


def test_an_array_comes_back_as_it_was():
    rgb = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Frame.from_rgb(rgb).rgb(), rgb)
    np.testing.assert_array_equal(Frame.from_rgb(rgb).rgb(FaceBox(1, 2, 4, 6)), rgb[2:6, 1:4])
