from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import pytest
from helpers.numbered_clips import frame_number, numbered_frame, write_clip

from diff2lip_diffusers.lipsync import source_video
from diff2lip_diffusers.lipsync.source_video import KnownFaces, SourceVideo

COUNT, FPS = 30, Fraction(25)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "a.mp4", [numbered_frame(index) for index in range(COUNT)])


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """How many frames each pass through the file gave."""
    passes = []
    read_frames = source_video.read_frames

    def counting(*arguments):
        passes.append(0)
        for frame in read_frames(*arguments):
            passes[-1] += 1
            yield frame

    monkeypatch.setattr(source_video, "read_frames", counting)
    return passes


def numbers(source, start=0, end=None):
    return [frame_number(frame.rgb()) for frame in islice(source.frames(FPS, start), end)]


def test_frames_are_decoded_once(clip, decoded):
    source = SourceVideo(clip, cache_bytes=2**30)
    assert numbers(source) == numbers(source) == list(range(COUNT))
    assert numbers(source, 7) == list(range(7, COUNT))
    assert decoded == [COUNT]


def test_what_an_earlier_job_left_is_decoded_later(clip, decoded):
    source = SourceVideo(clip, cache_bytes=2**30)
    assert numbers(source, end=12) == list(range(12))
    assert numbers(source, 5) == list(range(5, COUNT))
    assert numbers(source) == list(range(COUNT))
    assert decoded == [12, COUNT - 12]


def test_frames_without_those_before_are_not_taken_for_the_first(clip):
    source = SourceVideo(clip, cache_bytes=2**30)
    assert numbers(source, 20) == list(range(20, COUNT))
    assert numbers(source) == list(range(COUNT))


def test_two_passes_at_the_same_time(clip):
    source = SourceVideo(clip, cache_bytes=2**30)
    pairs = zip(source.frames(FPS), source.frames(FPS), strict=True)
    assert [tuple(frame_number(frame.rgb()) for frame in pair) for pair in pairs] == [
        (index, index) for index in range(COUNT)
    ]
    assert numbers(source) == list(range(COUNT))


def test_a_video_that_is_too_large_is_decoded_again(clip, decoded):
    size = next(iter(SourceVideo(clip).frames(FPS))).nbytes
    decoded.clear()
    source = SourceVideo(clip, cache_bytes=COUNT * size - 1)
    assert numbers(source) == numbers(source) == list(range(COUNT))
    assert decoded == [COUNT, COUNT]
    assert not source._caches[FPS].frames


def test_rates_are_kept_apart(clip):
    source = SourceVideo(clip, cache_bytes=2**30)
    assert len(list(source.frames(Fraction(50)))) == 2 * COUNT
    assert len(list(source.frames(FPS))) == COUNT


class Searched(NamedTuple):
    faces: list[int]


def test_known_faces():
    known, searched = KnownFaces(), [Searched([index]) for index in range(5)]
    assert known.covers(0) and not known.covers(1) and not known.covers(None)
    assert list(islice(known.record(searched), 3)) == searched[:3]
    assert known.covers(3) and not known.covers(4) and not known.covers(None)
    assert len(list(known.record(searched))) == 5
    assert known.covers(9) and known.covers(None)
    assert known.faces == [[0], [1], [2], [3], [4]]


def test_the_search_of_another_setting_has_faces_of_its_own(clip):
    source = SourceVideo(clip)
    assert source.known_faces("one") is source.known_faces("one")
    assert source.known_faces("one") is not source.known_faces("other")
