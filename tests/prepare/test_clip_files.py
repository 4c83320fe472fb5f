import wave

import av
import numpy as np
import PIL.Image
import pytest
from helpers.face_videos import WOMAN
from helpers.numbered_clips import noise

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb
from diff2lip_diffusers.prepare.clip_files import (
    KEYFRAME_EVERY,
    clip_lengths,
    write_clip_speech,
    write_crops,
    write_strip,
)


def moving_crops(count: int, size: int = 96) -> list[np.ndarray]:
    return [
        np.ascontiguousarray(WOMAN[60 + n % 40 : 60 + n % 40 + size, 60 + n % 30 : 60 + n % 30 + size])
        for n in range(count)
    ]


@pytest.mark.parametrize("size", [96, 97])
def test_crops_come_back_almost_as_they_were(tmp_path, size):
    crops = moving_crops(23, size)
    write_crops(tmp_path / "a.mp4", crops)
    back = list(read_rgb(tmp_path / "a.mp4"))
    assert len(back) == 23 and probe_video(tmp_path / "a.mp4").fps == 25
    errors = [np.mean((one.astype(float) - other) ** 2) for one, other in zip(crops, back, strict=True)]
    assert 10 * np.log10(255**2 / max(errors)) > 38


def test_red_lips_do_not_bleed(tmp_path):
    """Full chroma: a line of one pixel keeps its color."""
    crop = np.full((64, 64, 3), 128, np.uint8)
    crop[32] = (200, 60, 60)
    write_crops(tmp_path / "a.mp4", [crop] * 3)
    back = next(read_rgb(tmp_path / "a.mp4")).astype(int)
    assert np.abs(back[32] - crop[32]).mean() < 12 and np.abs(back[[30, 34]] - 128).mean() < 6


def test_a_keyframe_is_never_far(tmp_path):
    write_crops(tmp_path / "a.mp4", moving_crops(23))
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    times = [packet.pts for packet in packets]
    assert [n for n, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, 23, KEYFRAME_EVERY))
    assert times == sorted(times)


def test_the_same_crops_make_the_same_file(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_crops(tmp_path / name, moving_crops(12))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_sound_is_kept_to_the_bit(tmp_path):
    samples = noise(1, 1234)[0]
    write_clip_speech(tmp_path / "a.wav", samples)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 16000, 1234)
        assert file.readframes(9999) == samples.astype("<i2").tobytes()
    assert read_audio(tmp_path / "a.wav")[1] == 16000


def test_a_strip_shows_first_middle_and_last(tmp_path):
    crops = [np.full((40, 40, 3), level, np.uint8) for level in (0, 50, 100, 150, 200)]
    write_strip(tmp_path / "a.jpg", crops)
    strip = np.asarray(PIL.Image.open(tmp_path / "a.jpg")).astype(int)
    assert strip.shape == (40, 120, 3)
    assert np.abs(strip[20, [10, 60, 110], 0] - [0, 100, 200]).max() <= 3


def test_no_place_to_write(tmp_path):
    for write, value in (
        (write_crops, moving_crops(2)),
        (write_clip_speech, noise(1, 9)[0]),
        (write_strip, moving_crops(2)),
    ):
        with pytest.raises(MediaError, match="nowhere.*cannot be written"):
            write(tmp_path / "nowhere" / "a", value)


def test_lengths_of_files_that_are_no_clip_are_unknown(tmp_path):
    video, speech = tmp_path / "a.mp4", tmp_path / "a.wav"
    write_crops(video, moving_crops(3, 64))
    write_clip_speech(speech, np.zeros(1920, np.int16))
    assert clip_lengths(video, speech) == (3, 1920)
    assert clip_lengths(speech, speech) is None  # no video in it
    content = speech.read_bytes()
    speech.write_bytes(content[:4] + b"\x20\0\0\0WAVEjunk\0\1\0\0" + content[12:])  # a chunk that ends too late
    assert clip_lengths(video, speech) is None
