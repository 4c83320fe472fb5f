import numpy as np
import PIL.Image
import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.frame import Frame
from diff2lip_diffusers.media.image_writer import ImageFolderWriter
from diff2lip_diffusers.media.reader import read_rgb


def frames(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8))


def test_pictures_come_back_to_the_bit(tmp_path):
    source = frames(12)
    with ImageFolderWriter(tmp_path / "out") as writer:
        for index, frame in enumerate(source):
            writer.write(frame if index % 2 else Frame.from_rgb(frame))
    assert writer.frame_count == 12
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [f"{index:06d}.png" for index in range(12)]
    for before, after in zip(source, read_rgb(tmp_path / "out"), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_texts_are_in_each_file(tmp_path):
    with ImageFolderWriter(tmp_path / "out", {"comment": "synthesised"}) as writer:
        writer.write(frames(1)[0])
    with PIL.Image.open(tmp_path / "out" / "000000.png") as image:
        assert image.text == {"Comment": "synthesised"}


def test_an_empty_folder_is_filled_and_a_full_one_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with ImageFolderWriter(tmp_path / "empty") as writer:
        writer.write(frames(1)[0])
    with pytest.raises(MediaError, match="with files in it"):
        ImageFolderWriter(tmp_path / "empty")


def test_a_failed_block_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), ImageFolderWriter(tmp_path / "out") as writer:
        writer.write(frames(1)[0])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
