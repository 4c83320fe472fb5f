"""Masks: what they cover stays as it was, in every frame, however the video is read."""

import numpy as np
import PIL.Image
import pytest
from helpers.face_videos import pipeline_that, write_speech, write_video

from diff2lip_diffusers import FaceBox, Pair, sync_batch, sync_video
from diff2lip_diffusers.batch import split_clip
from diff2lip_diffusers.batch.pair_files import inspect_files, missing_files
from diff2lip_diffusers.batch.pair_lists import read_pairs
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.lipsync import exemplar_windows
from diff2lip_diffusers.media.reader import read_rgb

COUNT, SIDE = 7, 64
FACE = FaceBox(8, 8, 56, 56)
EXACT = {"box": FACE, "codec": "ffv1", "detail": "none"}
LOWER = slice(40, 52)


def covered_columns(number: int) -> slice:
    """Where the mask of a frame is white; wide enough for a codec."""
    return slice(4 * number + 12, 4 * number + 24)


def mask_frame(number: int, side: int = SIDE) -> np.ndarray:
    mask = np.zeros((side, side, 3), np.uint8)
    mask[:, covered_columns(number)] = 255
    return mask


def write_images(folder, frames):
    folder.mkdir()
    for number, frame in enumerate(frames):
        PIL.Image.fromarray(frame).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Each frame has its own brightness, so that a frame tells its number."""
    folder = tmp_path_factory.mktemp("film")
    frames = [np.full((SIDE, SIDE, 3), 100 + 10 * number, np.uint8) for number in range(COUNT)]
    return write_video(folder / "face.mkv", frames, codec="ffv1"), write_speech(folder / "speech.wav", 1)


@pytest.fixture
def black(small_pipe):
    return pipeline_that(lambda crops: np.zeros_like(crops), small_pipe)


@pytest.fixture(params=["video", "lossy video", "folder"])
def masks(request, tmp_path):
    frames = [mask_frame(number) for number in range(COUNT)]
    if request.param == "folder":
        return write_images(tmp_path / "masks", frames)
    return write_video(tmp_path / "masks.mkv", frames, codec="ffv1" if request.param == "video" else "h264")


def sync(pipe, film, output, **options) -> None:
    video, speech = film
    sync_video(pipe, video, speech, output, **EXACT, **options)


def check_covered(output, count=None) -> list[int]:
    """Checks that each frame is black where it was painted, and only there; returns the numbers of the frames."""
    numbers = []
    for frame in read_rgb(output):
        number = round((int(frame[2, 2, 0]) - 100) / 10)
        columns = covered_columns(number)
        inner = slice(columns.start + 3, columns.stop - 3)
        assert (np.abs(frame[LOWER, inner].astype(int) - (100 + 10 * number)) <= 2).all()
        painted = [column for column in range(20, 44) if not columns.start - 3 <= column < columns.stop + 3]
        assert frame[LOWER, painted].mean() < 90
        numbers.append(number)
    return numbers


def test_what_a_mask_covers_is_not_painted(tmp_path, black, film, masks):
    sync(black, film, tmp_path / "out.mkv", mask=masks)
    assert check_covered(tmp_path / "out.mkv") == list(range(COUNT))


@pytest.mark.parametrize(
    ("extend", "numbers"),
    [
        ("pingpong", [*range(7), *range(5, -1, -1), *range(1, 7), *range(5, -1, -1)]),
        ("loop", [*range(7)] * 4),
        ("freeze", [*range(7), *[6] * 20]),
    ],
)
def test_masks_go_with_their_frames_however_a_video_is_continued(tmp_path, black, film, masks, extend, numbers):
    sync(black, film, tmp_path / "out.mkv", mask=masks, length="audio", extend=extend)
    assert check_covered(tmp_path / "out.mkv") == numbers[:25]


def test_one_image_is_the_mask_of_all_frames(tmp_path, black, film):
    PIL.Image.fromarray(mask_frame(0)).save(tmp_path / "mask.png")
    sync(black, film, tmp_path / "out.mkv", mask=tmp_path / "mask.png")
    frames = np.stack(list(read_rgb(tmp_path / "out.mkv")))
    levels = 100 + 10 * np.arange(COUNT)[:, None, None]
    assert (frames[:, LOWER, 15:21, 0] == levels).all() and (frames[:, LOWER, 30:44, 0] < 60).all()


def test_gray_is_blended(tmp_path, black, film):
    frame = np.full((SIDE, SIDE, 3), 128, np.uint8)
    masks = write_images(tmp_path / "masks", [frame] * COUNT)
    for name, options in (("half", {"mask": masks}), ("plain", {})):
        sync(black, film, tmp_path / f"{name}.mkv", **options)
    (source, *_), (half, *_), (plain, *_) = (
        [frame.astype(int) for frame in read_rgb(path)]
        for path in (film[0], tmp_path / "half.mkv", tmp_path / "plain.mkv")
    )
    assert np.abs(half - (source + plain) / 2)[LOWER, 16:48].max() <= 2


def test_parts_of_a_clip_have_the_masks_of_the_whole(tmp_path, small_pipe, film, monkeypatch):
    masks = write_video(tmp_path / "m.mkv", [mask_frame(number) for number in range(COUNT)], codec="ffv1")
    speech = write_speech(tmp_path / "short.wav", 0.4)
    monkeypatch.setattr(exemplar_windows, "STRETCH_FRAMES", 3)
    monkeypatch.setattr(split_clip, "PART_FRAMES", 3)
    pair = Pair(film[0], speech, "clip.mkv", {"mask": masks})
    options = {"num_inference_steps": 1, "length": "audio", **EXACT}
    for split in ("pairs", "frames"):
        result = sync_batch(small_pipe, [pair], tmp_path / split, split=split, **options)
        assert (result.num_done, result.num_failed) == (1, 0), result.failures
    whole, joined = (list(read_rgb(tmp_path / split / "clip.mkv")) for split in ("pairs", "frames"))
    assert len(whole) == 10
    np.testing.assert_array_equal(whole, joined)


def test_lists_name_masks_relative_to_their_root(tmp_path):
    (tmp_path / "pairs.csv").write_text("video,audio,mask\na.mp4,a.wav,masks/a\nb.mp4,b.wav,\n")
    first, second = read_pairs(tmp_path / "pairs.csv")
    assert first.options == {"mask": tmp_path / "masks/a"} and second.options == {}
    for name in ("a.mp4", "a.wav", "b.mp4", "b.wav"):
        (tmp_path / name).touch()
    missing = missing_files([first, second], inspect_files([first, second]))
    assert list(missing) == [first.output] and "masks/a: cannot be read: No such file" in missing[first.output]
    (tmp_path / "masks/a").mkdir(parents=True)
    assert not missing_files([first, second], inspect_files([first, second]))
    (tmp_path / "pairs.csv").write_text("video,mask\na.mp4,../a\n")
    with pytest.raises(Exception, match="`mask` '../a' leaves the root"):
        read_pairs(tmp_path / "pairs.csv")


def of_length(path, count, side=SIDE, fps=25):
    return write_video(path, [mask_frame(0, side)] * count, fps=fps, codec="ffv1")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: of_length(path, COUNT, side=72), "is 72x72, but the video 64x64; make it of the frames"),
        (lambda path: of_length(path, COUNT, fps=50), "has 50 frames/s, but the video 25"),
        (lambda path: of_length(path, 3 * COUNT), "lasts 0.84 s, but the video 0.28 s"),
        (lambda path: of_length(path, COUNT - 1), "has no frame 6, but the video has"),
        (lambda path: of_length(path, COUNT + 1), "has more frames than the video, which has 7"),
        (lambda path: write_images(path, [mask_frame(0)] * (COUNT + 2)), "has more frames than the video"),
        (lambda path: write_images(path, [mask_frame(0)] * (COUNT - 2)), "has no frame 5, but the video has"),
        (lambda path: path, "no such file"),
        (lambda path: path.write_text("x"), "is not a media file|cannot be read|not"),
    ],
)
def test_masks_that_do_not_fit_fail_in_one_line(tmp_path, black, film, make, reason):
    make(tmp_path / "mask.mkv")
    with pytest.raises(MediaError, match=reason) as caught:
        sync(black, film, tmp_path / "out.mkv", mask=tmp_path / "mask.mkv")
    assert str(tmp_path / "mask.mkv") in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out.mkv").exists()


def test_a_folder_of_masks_needs_the_rate_of_the_video(tmp_path, black, film):
    masks = write_images(tmp_path / "masks", [mask_frame(0)] * COUNT)
    with pytest.raises(MediaError, match="is a folder, one image a frame at 25 frames/s; leave out fps"):
        sync(black, film, tmp_path / "out.mkv", mask=masks, fps=30)


def test_masks_of_another_rate_follow_the_video(tmp_path, black, film):
    masks = write_video(tmp_path / "m.mkv", [mask_frame(number) for number in range(COUNT)], codec="ffv1")
    sync(black, film, tmp_path / "out.mkv", mask=masks, fps=50)
    assert check_covered(tmp_path / "out.mkv") == [number // 2 for number in range(2 * COUNT)]
