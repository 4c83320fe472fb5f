from fractions import Fraction
from functools import partial
from itertools import islice

import numpy as np
import pytest
from helpers.numbered_clips import frame_number, numbered_frame, write_clip

from diff2lip_diffusers.media import length
from diff2lip_diffusers.media.length import least_and_most, read_numbered, read_to_length
from diff2lip_diffusers.media.reader import probe_video, read_frames, read_rgb


def sequence(count: int, total: int, extension: str) -> list[int]:
    """What is to be seen, by hand."""
    cycles = {
        "pingpong": [*range(count), *range(count - 2, 0, -1)],
        "loop": range(count),
        "freeze": [*range(count), *[count - 1] * total],
    }
    cycle = list(cycles[extension])
    return [cycle[index % len(cycle)] for index in range(total)]


def shown_numbers(path, fps, **arguments) -> list[int]:
    read = read_to_length(partial(read_frames, path, Fraction(fps)), **arguments)
    return [frame_number(frame.rgb()) for _, frame in read]


def shown(path, fps, **arguments) -> list[int]:
    numbers = shown_numbers(path, fps, **arguments)
    assert numbers == [n for n, _ in read_to_length(partial(read_frames, path, Fraction(fps)), **arguments)]
    return numbers


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    made = {
        "mp4": write_clip(folder / "a.mp4", [numbered_frame(index) for index in range(40)]),
        "mkv": write_clip(folder / "a.mkv", [numbered_frame(index) for index in range(40)], fps=Fraction(30000, 1001)),
        "ts": write_clip(folder / "a.ts", [numbered_frame(index) for index in range(40)]),
        "avi": write_clip(folder / "a.avi", [numbered_frame(index) for index in range(40)], codec="mpeg4"),
    }
    return made


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("extension", length.EXTENSIONS)
@pytest.mark.parametrize("total", [39, 41, 79, 100, 170])
def test_a_clip_goes_on(clips, suffix, extension, total):
    fps = probe_video(clips[suffix]).fps
    result = shown(clips[suffix], fps, least=total, most=None, extension=extension)
    assert result == sequence(40, max(total, 40), extension)


@pytest.mark.parametrize("held", [2, 7, 13, 64])
def test_going_back_holds_few_frames(clips, monkeypatch, held):
    path = clips["mp4"]
    size = sum(plane.nbytes for plane in next(read_frames(path)).planes)
    monkeypatch.setattr(length, "REVERSED_BYTES", held * size)
    asked = []

    def counting(start):
        for index, frame in enumerate(read_frames(path, 25, start), start):
            asked.append((start, index))
            yield frame

    numbers = [number for number, _ in read_to_length(counting, least=79)]
    assert numbers == sequence(40, 79, "pingpong")
    assert max((index - start for start, index in asked if start), default=0) < held


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("extension", length.EXTENSIONS)
def test_short_clips_go_on(tmp_path, count, extension):
    path = write_clip(tmp_path / "a.mp4", [numbered_frame(index) for index in range(count)])
    assert shown(path, 25, least=9, extension=extension) == sequence(count, 9, extension)


@pytest.mark.parametrize("most", [0, 1, 7, 40, 50])
def test_a_clip_is_cut(clips, most):
    assert shown(clips["mp4"], 25, most=most) == list(range(min(most, 40)))


def test_a_clip_at_another_rate_goes_back_the_way_it_came(clips):
    forwards = [frame_number(frame) for frame in read_rgb(clips["mp4"], Fraction(10))]
    numbers = shown_numbers(clips["mp4"], Fraction(10), least=31)
    cycle = [*forwards, *forwards[-2:0:-1]]
    assert numbers == [cycle[index % len(cycle)] for index in range(31)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("fps", [None, 10, 60])
@pytest.mark.parametrize("start", [0, 1, 5, 17, 39, 95])
def test_reading_from_a_place_is_the_end_of_reading_all(clips, suffix, fps, start):
    whole = list(islice(read_rgb(clips[suffix], fps), start, None))
    part = [frame.rgb() for frame in read_frames(clips[suffix], fps, start)]
    assert len(whole) == len(part)
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "length, expected", [("video", (0, None)), ("audio", (9, 9)), ("shortest", (0, 9)), ("longest", (9, None))]
)
def test_bounds(length, expected):
    assert least_and_most(length, 9) == expected


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [0],
        [39],
        [*range(40)],
        [*range(5, 12)],
        [*range(39, -1, -1)],
        [7] * 5,
        [3, 4, 5, 4, 3, 2, 3, 9, 9, 9, 0, 39],
    ],
    ids=str,
)
def test_frames_by_number(clips, numbers, monkeypatch):
    monkeypatch.setattr(length, "REVERSED_BYTES", 1)
    frames = read_numbered(partial(read_frames, clips["mp4"], Fraction(25)), numbers)
    assert [frame_number(frame.rgb()) for frame in frames] == numbers
