"""The watermark: found after compression and scaling, invisible, and silent on videos without it."""

from fractions import Fraction

import av
import numpy as np
import pytest
import skimage.data
from helpers.commands import run_command
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, other_person, write_speech, write_video

from diff2lip_diffusers import SyncOptions, sync_video
from diff2lip_diffusers.media.frame import Frame
from diff2lip_diffusers.media.reader import read_frames, read_rgb
from diff2lip_diffusers.provenance.verify import verify
from diff2lip_diffusers.provenance.watermark import THRESHOLD, GridWatermark, find_watermark

MARK = GridWatermark()
BOX = (WOMAN_FACE.x1, WOMAN_FACE.y1, WOMAN_FACE.x2, WOMAN_FACE.y2)


def moving(num_frames: int = 12, width: int = 480, height: int = 270) -> list[np.ndarray]:
    """Two people, one of whom moves, on a plain wall."""
    return [
        on_background([(WOMAN, 20 + 2 * number, 20), (other_person(), 260, 30)], width, height)
        for number in range(num_frames)
    ]


def encoded(path, frames, crf: int, size: tuple[int, int] | None = None):
    """A video by FFmpeg's own encoder, as another program would write it."""
    with av.open(str(path), "w") as container:
        height, width = frames[0].shape[:2]
        width, height = size or (width, height)
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": str(crf), "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture.reformat(width, height, "yuv420p")))
        container.mux(stream.encode(None))
    return path


def marked(frames):
    return [MARK.marked(Frame.from_rgb(frame)).rgb() for frame in frames]


@pytest.mark.parametrize("size", [None, (320, 180), (640, 360)], ids=["same size", "smaller", "larger"])
def test_found_after_compression_and_scaling(tmp_path, size):
    first = encoded(tmp_path / "first.mp4", marked(moving()), 18)
    again = encoded(tmp_path / "again.mp4", list(read_rgb(first)), 23, size)
    found = find_watermark(again)
    assert found.found and found.score > THRESHOLD
    plain = encoded(tmp_path / "plain.mp4", moving(), 23, size)
    assert not find_watermark(plain).found


def test_invisible(tmp_path):
    """44 dB and more; flat places change by 1.5 levels of 255, rounded."""
    for picture in (WOMAN, skimage.data.cat()[:256, :256], np.full((200, 200, 3), 120, np.uint8)):
        change = marked([picture])[0].astype(float) - picture
        assert abs(change).max() <= 4
        assert 10 * np.log10(255**2 / (change**2).mean()) > 41
    assert abs(change).max() <= 2


def test_only_luma_changes_and_every_format_can_be_marked(tmp_path):
    for pixel_format, dtype, depth in (("yuv420p", np.uint8, 8), ("yuv422p10le", np.uint16, 10)):
        rng = np.random.default_rng(1)
        luma = rng.integers(100, 140, (108, 192)).astype(dtype) << (depth - 8)
        chroma = np.full((54 if "420" in pixel_format else 108, 96), 128 << (depth - 8), dtype)
        frame = next(iter(read_frames(encoded(tmp_path / "tags.mp4", [WOMAN], 18))))
        before = Frame((luma, chroma, chroma), pixel_format, frame.tags)
        after = MARK.marked(before)
        assert after.planes[1] is chroma and after.planes[0].dtype == dtype
        assert MARK.find([after]).score > 2 * THRESHOLD > MARK.find([before]).score


def test_nothing_is_found_in_100_unmarked_pictures():
    rng = np.random.default_rng(2026)
    photos = [skimage.data.astronaut(), skimage.data.cat(), skimage.data.coffee(), skimage.data.rocket()]
    scores = []
    for number in range(100):
        photo = photos[number % len(photos)]
        top, left = (int(rng.integers(0, side - 150)) for side in photo.shape[:2])
        part = photo[top : top + 150, left : left + 150]
        gain = rng.uniform(0.6, 1.1)
        picture = (part * gain + rng.normal(0, rng.uniform(0, 4), part.shape)).clip(0, 255).astype(np.uint8)
        scores.append(MARK.find([Frame.from_rgb(np.ascontiguousarray(picture))]).score)
    assert max(scores) < THRESHOLD
    assert 0.5 < np.std(scores) < 1.6  # near a standard normal distribution, as the threshold assumes


def test_flat_and_empty_videos_have_no_score():
    assert MARK.find([]).score == 0
    assert MARK.find([Frame.from_rgb(np.full((64, 64, 3), 7, np.uint8))]).score == 0


def test_an_option_of_a_job_and_the_command_that_finds_it(small_pipe, tmp_path, capfd):
    video = write_video(tmp_path / "face.mp4", [WOMAN] * 8)
    speech = write_speech(tmp_path / "speech.wav", 0.5)
    for name, options in (("marked", {"watermark": True}), ("plain", {"mark": False})):
        output = tmp_path / f"{name}.mp4"
        sync_video(small_pipe, video, speech, output, num_inference_steps=1, box=BOX, **options)
    assert verify(tmp_path / "marked.mp4").watermark.found
    code, lines, errors = run_command(capfd, "verify", str(tmp_path / "marked.mp4"))
    assert (code, errors) == (0, [])
    assert "lip-synced by diff2lip" in lines[0] and "Speech synthesised" in lines[1] and "found" in lines[-1]
    code, lines, _ = run_command(capfd, "verify", str(tmp_path / "plain.mp4"))
    assert code == 0 and "no mark of ours" in lines[0] and "not found" in lines[-1]
    code, _, errors = run_command(capfd, "verify", str(tmp_path / "missing.mp4"))
    assert code == 1 and len(errors) == 1


def test_options_that_contradict_it():
    for other in ("lossless", "reproduce"):
        with pytest.raises(ValueError, match=other):
            SyncOptions(watermark=True, **{other: True})
