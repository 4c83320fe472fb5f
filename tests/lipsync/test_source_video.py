from fractions import Fraction
from itertools import islice

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
    """How many pictures each pass through the file gave."""
    passes = []
    read_frames = source_video.read_frames

    def counting(*arguments):
        passes.append(0)
        for picture in read_frames(*arguments):
            passes[-1] += 1
            yield picture

    monkeypatch.setattr(source_video, "read_frames", counting)
    return passes


def numbers(driving, start=0, end=None):
    return [frame_number(picture.rgb()) for picture in islice(driving.pictures(FPS, start), end)]


def test_pictures_are_decoded_once(clip, decoded):
    driving = SourceVideo(clip, keep_bytes=2**30)
    assert numbers(driving) == numbers(driving) == list(range(COUNT))
    assert numbers(driving, 7) == list(range(7, COUNT))
    assert decoded == [COUNT]


def test_what_an_earlier_job_left_is_decoded_later(clip, decoded):
    driving = SourceVideo(clip, keep_bytes=2**30)
    assert numbers(driving, end=12) == list(range(12))
    assert numbers(driving, 5) == list(range(5, COUNT))
    assert numbers(driving) == list(range(COUNT))
    assert decoded == [12, COUNT - 12]


def test_pictures_without_those_before_are_not_taken_for_the_first(clip):
    driving = SourceVideo(clip, keep_bytes=2**30)
    assert numbers(driving, 20) == list(range(20, COUNT))
    assert numbers(driving) == list(range(COUNT))


def test_two_passes_at_the_same_time(clip):
    driving = SourceVideo(clip, keep_bytes=2**30)
    pairs = zip(driving.pictures(FPS), driving.pictures(FPS), strict=True)
    assert [tuple(frame_number(picture.rgb()) for picture in pair) for pair in pairs] == [
        (index, index) for index in range(COUNT)
    ]
    assert numbers(driving) == list(range(COUNT))


def test_a_video_that_is_too_large_is_decoded_again(clip, decoded):
    size = next(iter(SourceVideo(clip).pictures(FPS))).nbytes
    decoded.clear()
    driving = SourceVideo(clip, keep_bytes=COUNT * size - 1)
    assert numbers(driving) == numbers(driving) == list(range(COUNT))
    assert decoded == [COUNT, COUNT]
    assert not driving._kept[FPS].pictures


def test_rates_are_kept_apart(clip):
    driving = SourceVideo(clip, keep_bytes=2**30)
    assert len(list(driving.pictures(Fraction(50)))) == 2 * COUNT
    assert len(list(driving.pictures(FPS))) == COUNT


def test_known_faces():
    known = KnownFaces()
    assert known.suffice(0) and not known.suffice(1) and not known.suffice(None)
    assert list(islice(known.recorded([("picture", [index]) for index in range(5)]), 3)) == [
        ("picture", [0]), ("picture", [1]), ("picture", [2])
    ]  # fmt: skip
    assert known.suffice(3) and not known.suffice(4) and not known.suffice(None)
    assert len(list(known.recorded([("picture", [index]) for index in range(5)]))) == 5
    assert known.suffice(9) and known.suffice(None)
    assert known.faces == [[0], [1], [2], [3], [4]]


def test_the_search_of_another_setting_has_faces_of_its_own(clip):
    driving = SourceVideo(clip)
    assert driving.known_faces("one") is driving.known_faces("one")
    assert driving.known_faces("one") is not driving.known_faces("other")
