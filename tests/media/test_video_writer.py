import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.reader import ColorTags, VideoInfo, probe_video, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

NTSC = Fraction(30000, 1001)
COLORS = np.array([[200, 60, 90], [20, 180, 40], [30, 50, 220], [250, 250, 250], [0, 0, 0], [128, 128, 128]], np.uint8)


def patches(height: int, width: int) -> np.ndarray:
    columns = np.repeat(COLORS, -(-width // len(COLORS)), axis=0)[:width]
    return np.ascontiguousarray(np.broadcast_to(columns, (height, width, 3)))


def patch_centers(height: int, width: int) -> tuple[slice, list[int]]:
    step = -(-width // len(COLORS))
    return height // 2, [step // 2 + step * index for index in range(len(COLORS))]


def write_video(path, frame_count=25, fps=25, height=32, width=48, **options):
    with VideoWriter(path, width=width, height=height, fps=fps, **options) as writer:
        for _ in range(frame_count):
            writer.write(patches(height, width))
    return path


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 25, NTSC, 30, 60])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv"])
def test_rate_and_number_of_frames_are_kept(tmp_path, fps, suffix):
    video = write_video(tmp_path / f"out{suffix}", 31, fps)
    assert probe_video(video).fps == fps
    assert sum(1 for _ in read_rgb(video)) == 31


# No info: by size. Otherwise the source's tags: BT.601, BT.709, full range, BT.2020, not stated.
@pytest.mark.parametrize(
    "height, width, tags, written",
    [
        (240, 320, None, ColorTags(6, 1, 6, 6)),
        (720, 1280, None, ColorTags(1, 1, 1, 1)),
        (240, 320, ColorTags(6, 1, 6, 6), ColorTags(6, 1, 6, 6)),
        (240, 320, ColorTags(1, 1, 1, 1), ColorTags(1, 1, 1, 1)),
        (240, 320, ColorTags(1, 2, 1, 1), ColorTags(1, 2, 1, 1)),
        (240, 320, ColorTags(6, 2, 6, 6), ColorTags(6, 2, 6, 6)),
        (240, 320, ColorTags(9, 1, 9, 14), ColorTags(9, 1, 9, 14)),
        (720, 1280, ColorTags(), ColorTags()),
    ],
)
def test_colors_and_tags_are_kept(tmp_path, height, width, tags, written):
    info = VideoInfo(width, height, Fraction(25), None, False, tags) if tags else None
    video = write_video(tmp_path / "out.mp4", 2, height=height, width=width, info=info)
    assert probe_video(video).color == written
    row, columns = patch_centers(height, width)
    frame = next(read_rgb(video))
    assert np.abs(frame[row, columns].astype(int) - COLORS).max() <= 3


def test_the_written_yuv_is_that_of_the_tagged_matrix(tmp_path):
    """Luma of red by the definitions of BT.601 and BT.709, in full and studio range."""
    for matrix, kr, full in ((6, 0.299, False), (1, 0.2126, False), (1, 0.2126, True)):
        info = VideoInfo(64, 64, Fraction(25), None, False, ColorTags(matrix, 2 if full else 1))
        with VideoWriter(tmp_path / "red.mp4", width=64, height=64, fps=25, info=info) as writer:
            writer.write(np.full((64, 64, 3), (255, 0, 0), np.uint8))
        with av.open(str(tmp_path / "red.mp4")) as container:
            luma = np.asarray(next(container.decode(video=0)).planes[0])[32]
        assert abs(int(luma) - (255 * kr if full else 16 + 219 * kr)) <= 2


@pytest.mark.parametrize("height, width", [(33, 49), (32, 49), (33, 48), (1, 1)])
def test_odd_sizes_are_padded_by_their_last_row_and_column(tmp_path, height, width):
    source = np.linspace(0, 255, height * width).reshape(height, width, 1).repeat(3, axis=2).astype(np.uint8)
    with VideoWriter(tmp_path / "odd.mp4", width=width, height=height, fps=25, crf=1) as writer:
        writer.write(source)
    frame = next(read_rgb(tmp_path / "odd.mp4")).astype(int)
    assert frame.shape[:2] == (height + height % 2, width + width % 2)
    assert np.abs(frame[:height, :width] - source).max() <= 6
    assert np.abs(frame[-1, :width] - source[-1]).max() <= 6


def test_the_pixel_aspect_is_kept(tmp_path):
    info = VideoInfo(48, 32, Fraction(25), None, False, None, Fraction(16, 15))
    assert probe_video(write_video(tmp_path / "out.mp4", info=info)).pixel_aspect == Fraction(16, 15)


def test_metadata_is_written(tmp_path):
    video = write_video(tmp_path / "out.mp4", metadata={"comment": "made by a test"})
    with av.open(str(video)) as container:
        assert container.metadata["comment"] == "made by a test"


def test_the_index_comes_first(tmp_path):
    content = write_video(tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_a_failed_block_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"old")
    for name in ("old.mp4", "new.mp4"):
        with pytest.raises(KeyboardInterrupt):
            with VideoWriter(tmp_path / name, width=48, height=32, fps=25) as writer:
                writer.write(patches(32, 48))
                raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"old"


def test_nothing_but_the_target_is_left(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    write_video(tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert probe_video(tmp_path / "out.mp4").width == 48


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    try:
        with pytest.raises(MediaError, match="out.mp4: cannot be written") as caught:
            with VideoWriter(tmp_path / "out.mp4", width=320, height=240, fps=25) as writer:
                for shift in range(40):
                    writer.write(np.roll(noise, 7 * shift, axis=0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_block_without_frames_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="there is no frame"):
        write_video(tmp_path / "out.mp4", 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, reason",
    [
        ("out.avi", "codec h264 goes into"),
        ("folder.mp4", "cannot be written: Is a directory"),
        ("missing/out.mp4", "its folder does not exist"),
    ],
)
def test_an_impossible_path_is_one_line_and_leaves_nothing(tmp_path, name, reason):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MediaError, match=reason) as caught:
        write_video(tmp_path / name, 1)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"uint8 \(32, 48, 3\), got float64 \(32, 48, 3\)"):
        with VideoWriter(tmp_path / "out.mp4", width=48, height=32, fps=25) as writer:
            writer.write(np.zeros((32, 48, 3)))
