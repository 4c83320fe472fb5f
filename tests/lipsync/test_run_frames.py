"""What becomes of the picture around the mouth: the seam, the rest of the frame, codecs, marks."""

import av
import numpy as np
import PIL.Image
import pytest
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, pipeline_that, write_speech, write_video

from diff2lip_diffusers import FaceBox, sync_video
from diff2lip_diffusers.lipsync import job
from diff2lip_diffusers.media.reader import probe_video, read_frames, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

COUNT, X, Y = 8, 200, 60
FACE = FaceBox(WOMAN_FACE.x1 + X, WOMAN_FACE.y1 + Y, WOMAN_FACE.x2 + X, WOMAN_FACE.y2 + Y)
AROUND = slice(FACE.y1 - 16, FACE.y2 + 16), slice(FACE.x1 - 16, FACE.x2 + 16)
LOWER_HALF = slice((FACE.y1 + FACE.y2) // 2, FACE.y2), slice(FACE.x1, FACE.x2)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    frames = [on_background([(WOMAN, X, Y + index % 2)]) for index in range(COUNT)]
    return write_video(folder / "face.mp4", frames, crf=2), write_speech(folder / "speech.wav", 1)


@pytest.fixture
def to_writer(monkeypatch) -> list[np.ndarray]:
    written = []

    class Recorder(VideoWriter):
        def write(self, picture):
            written.append(picture.rgb())
            super().write(picture)

    monkeypatch.setattr(job, "VideoWriter", Recorder)
    return written


def mean_difference(first, second, area) -> float:
    pairs = zip(first, second, strict=True)
    return float(np.mean([np.abs(a[area].astype(int) - b[area]).mean() for a, b in pairs]))


def psnr(first, second) -> float:
    return 10 * np.log10(
        255**2 / np.mean([np.square(a.astype(float) - b) for a, b in zip(first, second, strict=True)])
    )


# The seam


@pytest.mark.parametrize("detail", ["none", "video"])
def test_pasting_what_was_cut_out_changes_hardly_anything(tmp_path, small_pipe, film, to_writer, detail):
    """Smaller than one level in and around the box, also after encoding at the default quality."""
    pipe = pipeline_that(lambda crops: crops, small_pipe)
    sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE, detail=detail)
    source = list(read_rgb(film[0]))
    assert mean_difference(source, to_writer, AROUND) < 0.1
    assert mean_difference(source, read_rgb(tmp_path / "out.mp4"), AROUND) < 1


@pytest.mark.parametrize("shift", [(20, 20, 20), (-25, -25, -25), (12, 0, -12)])
def test_the_painted_part_takes_the_colors_of_the_skin_around(tmp_path, small_pipe, film, to_writer, shift):
    levels = np.array(shift, np.float32)
    pipe = pipeline_that(lambda crops: (crops + levels / 255).clip(0, 1), small_pipe)
    sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE)
    left = [
        (after[LOWER_HALF].astype(float) - before[LOWER_HALF]).mean(axis=(0, 1))
        for before, after in zip(read_rgb(film[0]), to_writer, strict=True)
    ]
    assert np.abs(np.mean(left, axis=0)).max() <= 0.1 * np.abs(levels).max()


def test_a_painted_mouth_is_seen(tmp_path, small_pipe, film, to_writer):
    def black_mouth(crops):
        crops = crops.copy()
        crops[:, 11:14, 6:10] = 0
        return crops

    sync_video(pipeline_that(black_mouth, small_pipe), *film, tmp_path / "out.mp4", box=FACE)
    mouth = slice(FACE.y1 + 97, FACE.y1 + 110), slice(FACE.x1 + 42, FACE.x1 + 58)
    assert all(frame[mouth].mean() < 30 for frame in to_writer)


def test_a_face_can_be_restored_before_it_is_pasted(tmp_path, small_pipe, film, to_writer):
    seen = []

    def restore(face):
        seen.append((face.shape, face.dtype))
        larger = face.repeat(4, axis=0).repeat(4, axis=1)
        larger[40:60, 24:40] = (1, 0, 0)
        return larger

    pipe = pipeline_that(lambda crops: crops, small_pipe)
    sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE, restore=restore)
    assert seen == [((16, 16, 3), np.float32)] * COUNT
    middle = to_writer[0][FACE.y1 + 100, FACE.x1 + 50]
    assert middle[0] > 200 and middle[1:].max() < 60
    with pytest.raises(ValueError, match="`restore` returned shape"):
        sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE, restore=lambda face: face[:3])
    with pytest.raises(ValueError, match="`restore` returned uint8 numbers, expected finite float32"):
        sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE, restore=lambda face: (255 * face).astype(np.uint8))
    with pytest.raises(ValueError, match="`restore` is 3, expected a file of weights, or a function"):
        sync_video(pipe, *film, tmp_path / "out.mp4", box=FACE, restore=3)


# The rest of the frame


def outside(frames):
    for frame in frames:
        kept = frame.copy()
        kept[FACE.y1 - 32 : FACE.y2 + 32, FACE.x1 - 32 : FACE.x2 + 32] = 0
        yield kept


def test_the_rest_of_the_picture_keeps_its_quality(tmp_path, small_pipe, film):
    sync_video(small_pipe, *film, tmp_path / "out.mp4", box=FACE, num_inference_steps=1)
    assert psnr(outside(read_rgb(film[0])), outside(read_rgb(tmp_path / "out.mp4"))) > 45


@pytest.mark.parametrize("name, codec", [("out.mp4", None), ("out.mkv", "ffv1"), ("out.mov", "hevc")])
def test_lossless_keeps_the_rest_to_the_bit(tmp_path, small_pipe, film, name, codec):
    sync_video(small_pipe, *film, tmp_path / name, box=FACE, num_inference_steps=1, lossless=True, codec=codec)
    half = LOWER_HALF[0].start // 2 * 2
    for before, after in zip(read_frames(film[0]), read_frames(tmp_path / name), strict=True):
        assert before.format == after.format == "yuv420p" and before.tags == after.tags
        for plane, copy, step in zip(before.planes, after.planes, (1, 2, 2), strict=True):
            painted = slice(half // step, -(-FACE.y2 // step)), slice(FACE.x1 // step, -(-FACE.x2 // step))
            assert (plane[painted] != copy[painted]).any()
            plane, copy = plane.copy(), copy.copy()
            plane[painted] = copy[painted] = 0
            np.testing.assert_array_equal(plane, copy)


def test_a_folder_of_images_holds_the_same_pictures(tmp_path, small_pipe, film, to_writer):
    options = {"box": FACE, "num_inference_steps": 1}
    sync_video(small_pipe, *film, tmp_path / "out.mp4", **options)
    result = sync_video(small_pipe, *film, tmp_path / "frames", **options)
    assert (result.output, result.num_frames) == (tmp_path / "frames", COUNT)
    for before, after in zip(to_writer, read_rgb(tmp_path / "frames"), strict=True):
        np.testing.assert_array_equal(before, after)


def test_prores_and_its_container(tmp_path, small_pipe, film):
    sync_video(small_pipe, *film, tmp_path / "out.mov", box=FACE, num_inference_steps=1, codec="prores")
    assert probe_video(tmp_path / "out.mov").pixel_format == "yuv422p10le"


# The mark


def comment_of(path) -> str | None:
    with av.open(str(path)) as container:
        tags = {name.lower(): text for name, text in container.metadata.items()}
    return tags.get("comment")


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
def test_the_file_says_that_the_speech_is_synthesised_unless_told_otherwise(tmp_path, small_pipe, film, name):
    for mark in (True, False):
        sync_video(small_pipe, *film, tmp_path / name, box=FACE, num_inference_steps=1, mark=mark)
        comment = comment_of(tmp_path / name)
        assert (comment is not None and "synthesised" in comment and "diff2lip-diffusers 0.1.0" in comment) == mark


def test_images_say_it_too(tmp_path, small_pipe, film):
    sync_video(small_pipe, *film, tmp_path / "frames", box=FACE, num_inference_steps=1)
    with PIL.Image.open(tmp_path / "frames" / "000000.png") as image:
        assert "synthesised" in image.text["Comment"]
