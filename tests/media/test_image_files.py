import numpy as np
import PIL.Image
import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.image_files import image_files, read_image, read_images

LEFT, RIGHT = (200, 40, 60), (20, 90, 220)
ORIENTATION_TAG, TURNED_LEFT = 0x0112, 6


def two_colors(width: int = 40, height: int = 20) -> np.ndarray:
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = LEFT, RIGHT
    return pixels


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "jpg"])
def test_a_still_of_any_kind_is_found_by_its_content(tmp_path, suffix):
    PIL.Image.fromarray(two_colors()).save(tmp_path / f"a.{suffix}", quality=100)
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.mp4")
    assert image_files(tmp_path / "a.mp4") == [tmp_path / "a.mp4"]
    difference = np.abs(read_image(tmp_path / "a.mp4").rgb().astype(int) - two_colors())
    assert difference.mean() < 4 and (suffix in ("jpg", "webp") or difference.max() == 0)


def test_frames_are_in_the_order_of_their_numbers(tmp_path):
    for index in (10, 9, 2, 100, 1):
        PIL.Image.new("RGB", (8, 8), (index, 0, 0)).save(tmp_path / f"frame_{index}.png")
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.png").touch()
    files = image_files(tmp_path)
    assert [frame.rgb()[0, 0, 0] for frame in read_images(files)] == [1, 2, 9, 10, 100]
    assert [frame.rgb()[0, 0, 0] for frame in read_images(files, start=3)] == [10, 100]


def test_alpha_is_dropped_and_more_bits_are_rounded_down(tmp_path):
    rgba = np.dstack([two_colors(), np.zeros((20, 40), np.uint8)])
    PIL.Image.fromarray(rgba).save(tmp_path / "alpha.png")
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png").rgb(), two_colors())
    PIL.Image.fromarray(np.full((4, 4), 0x8040, np.uint16)).save(tmp_path / "deep.png")
    assert (read_image(tmp_path / "deep.png").rgb() == 0x80).all()


def test_photos_are_turned_as_their_camera_says(tmp_path):
    exif = PIL.Image.Exif()
    exif[ORIENTATION_TAG] = TURNED_LEFT
    PIL.Image.fromarray(two_colors()).save(tmp_path / "a.jpg", exif=exif, quality=100)
    upright = read_image(tmp_path / "a.jpg").rgb()
    assert upright.shape == (40, 20, 3)
    assert np.abs(upright[:15].astype(int) - LEFT).mean() < 8 and np.abs(upright[25:].astype(int) - RIGHT).mean() < 8


def test_frames_of_another_size_get_that_of_the_first(tmp_path):
    PIL.Image.fromarray(two_colors()).save(tmp_path / "0.png")
    PIL.Image.fromarray(two_colors(80, 40)).save(tmp_path / "1.png")
    first, second = read_images(image_files(tmp_path))
    assert np.abs(first.rgb().astype(int) - second.rgb()).mean() < 3


def test_what_is_no_image_is_said_in_one_line(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    assert image_files(tmp_path / "text.png") == image_files(tmp_path / "missing.png") == []
    PIL.Image.fromarray(two_colors()).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:80])
    for name in ("text.png", "cut.png"):
        with pytest.raises(MediaError, match=f"{name}: is not an image that can be read") as caught:
            read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="empty: is a folder without images"):
        image_files(tmp_path / "empty")


def test_a_damaged_avif_is_said_in_one_line(tmp_path):
    path = tmp_path / "x.avif"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    planes = data.index(b"mdat") + 4
    path.write_bytes(data[:planes] + bytes([255]) * 12 + data[planes + 12 :])
    with pytest.raises(MediaError, match="is not an image that can be read .*; export it again"):
        read_image(path)


def test_animations_are_left_to_ffmpeg(tmp_path):
    images = [PIL.Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 200)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:])
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:])
    assert image_files(tmp_path / "a.png") == image_files(tmp_path / "a.gif") == []
