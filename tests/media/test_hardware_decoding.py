"""Decoding on another chip: the same frames, or one line that says what is in the way."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.face_videos import write_video

from diff2lip_diffusers import SyncOptions
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.media.containers import HARDWARE_DECODERS
from diff2lip_diffusers.media.reader import read_frames

FPS = Fraction(25)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 96, 3), dtype=np.uint8)
    write_video(path, iter(noise))
    return path


@pytest.mark.parametrize("name", HARDWARE_DECODERS)
def test_frames_are_those_of_the_cpu_or_the_chip_is_missing(clip, name):
    expected = [frame.planes for frame in read_frames(clip, FPS)]
    try:
        found = [frame.planes for frame in read_frames(clip, FPS, hwaccel=name)]
    except MediaError as error:
        said = f"{clip}: the hardware decoder {name} does not work on this machine; leave out --hwaccel"
        assert str(error) == said
        return
    assert len(found) == len(expected) == 4
    for ours, theirs in zip(found, expected, strict=True):
        for plane, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(plane, other)


def test_a_file_that_is_no_video_is_what_the_error_names(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match="a.mp4: is not a video or audio file"):
        next(read_frames(tmp_path / "a.mp4", hwaccel=HARDWARE_DECODERS[0]))


def test_a_name_that_ffmpeg_does_not_know():
    with pytest.raises(ValueError, match="^`hwaccel` is 'abacus', expected one of "):
        SyncOptions(hwaccel="abacus")
