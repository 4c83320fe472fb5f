import numpy as np
import PIL.Image
import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.frame import Frame
from diff2lip_diffusers.media.image_writer import ImageFolderWriter
from diff2lip_diffusers.media.reader import read_rgb


def frames(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8))


def test_frames_are_bit_exact(tmp_path):
    source = frames(12)
    with ImageFolderWriter(tmp_path / "out") as writer:
        for index, frame in enumerate(source):
            writer.write(frame if index % 2 else Frame.from_rgb(frame))
    assert writer.frame_count == 12
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [f"{index:06d}.png" for index in range(12)]
    for before, after in zip(source, read_rgb(tmp_path / "out"), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_each_file_contains_the_metadata(tmp_path):
    with ImageFolderWriter(tmp_path / "out", {"comment": "synthesized"}) as writer:
        writer.write(frames(1)[0])
    with PIL.Image.open(tmp_path / "out" / "000000.png") as image:
        assert image.text == {"Comment": "synthesized"}


def test_an_empty_folder_is_filled_and_a_full_one_stays_as_it_is(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    with ImageFolderWriter(folder) as writer:
        writer.write(frames(1)[0])
    before = (folder / "000000.png").read_bytes()
    with pytest.raises(MediaError, match="cannot be written: Directory not empty") as caught:
        with ImageFolderWriter(folder) as writer:
            writer.write(frames(2)[1])
            writer.write(frames(2)[1])
    assert "\n" not in str(caught.value)
    assert [file.name for file in folder.iterdir()] == ["000000.png"]
    assert (folder / "000000.png").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["empty"]


def test_a_failed_block_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), ImageFolderWriter(tmp_path / "out") as writer:
        writer.write(frames(1)[0])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
