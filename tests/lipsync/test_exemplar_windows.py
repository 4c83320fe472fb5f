from types import SimpleNamespace

import numpy as np
import pytest
from helpers.face_videos import WOMAN, on_background, write_video

from diff2lip_diffusers.boxes import FaceBox
from diff2lip_diffusers.detail.exemplars import Exemplar
from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.lipsync.exemplar_windows import (
    BANK_EXEMPLARS,
    STRETCH_FRAMES,
    Stretch,
    cut_stretches,
    other_exemplars,
    spacing_of,
    together,
    window_of,
    with_windows,
)
from diff2lip_diffusers.lipsync.face_boxes import BoxedFrame
from diff2lip_diffusers.lipsync.options import SyncOptions
from diff2lip_diffusers.lipsync.stage_timer import StageTimer
from diff2lip_diffusers.media.frame import Frame

FRAME = Frame.from_rgb(np.zeros((16, 16, 3), np.uint8))


def exemplar(number: int, pixels=None) -> Exemplar:
    return Exemplar(number, np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8))


def stretches(count: int) -> list[Stretch]:
    return [
        Stretch([], [], [[exemplar(10 * index), exemplar(10 * index + 1)], [exemplar(-index)]])
        for index in range(count)
    ]


@pytest.mark.parametrize("spacing", [2, 4, 8])
@pytest.mark.parametrize("count", range(1, 8))
def test_streamed_windows_are_those_of_the_whole_clip(count, spacing):
    clip = stretches(count)
    for number, (stretch, exemplars) in enumerate(with_windows(iter(clip), spacing)):
        assert stretch is clip[number]
        for track in (0, 1):
            expected = together(clip[index].exemplars[track] for index in window_of(number, spacing, count))
            assert [one.number for one in exemplars[track]] == [one.number for one in expected]
        assert number in window_of(number, spacing, count)
    assert number == count - 1


@pytest.mark.parametrize("spacing", [2, 4, 8])
def test_a_window_fills_a_bank_and_not_more(spacing):
    sizes = {len(window_of(number, spacing, 9)) * STRETCH_FRAMES // spacing for number in range(9)}
    assert sizes == {BANK_EXEMPLARS}
    assert window_of(3, spacing, None) == window_of(3, spacing, 9)


def test_windows_hold_few_stretches():
    taken = []

    def counted():
        for stretch in stretches(50):
            taken.append(1)
            yield stretch

    for number, _ in enumerate(with_windows(counted(), 8)):
        assert len(taken) <= number + 4


def test_a_frame_that_is_shown_twice_is_one_exemplar():
    assert [one.number for one in together([[exemplar(3), exemplar(5)], [exemplar(3)]])] == [3, 5]


def test_exemplars_are_evenly_spaced_frames_with_a_face():
    box = FaceBox(2, 2, 14, 14)
    entries = (
        BoxedFrame(number, FRAME, (None if number == 8 else box, None)) for number in range(STRETCH_FRAMES + 10)
    )
    timer = StageTimer()
    first, last = cut_stretches(entries, 4, exemplar, timer)
    assert [one.number for one in first.exemplars[0]] == [n for n in range(0, STRETCH_FRAMES, 4) if n != 8]
    assert first.exemplars[1] == []
    assert last.numbers == list(range(STRETCH_FRAMES, STRETCH_FRAMES + 10))
    assert first.boxes[8] == (None, None) and first.boxes[9] == (box, None)


@pytest.mark.parametrize(("frames", "spacing"), [(10, 2), (128, 2), (129, 4), (250, 4), (15000, 8), (None, 8)])
def test_short_clips_take_more_of_their_frames(frames, spacing):
    assert spacing_of(SimpleNamespace(expected_frames=frames)) == spacing


def test_other_videos_lend_evenly_spaced_frames(tmp_path, small_pipe, monkeypatch):
    monkeypatch.setattr("diff2lip_diffusers.lipsync.exemplar_windows.BANK_EXEMPLARS", 6)
    frames = [on_background([(WOMAN, 20, index % 2)], 320, 288) for index in range(12)]
    videos = [write_video(tmp_path / name, frames[:count]) for name, count in (("a.mp4", 12), ("b.mp4", 4))]
    exemplars = other_exemplars(small_pipe, SyncOptions(detail="video", detail_from=videos))
    assert [one.number for one in exemplars] == [0, 4, 8, 0, 2]
    assert {one.small.shape for one in exemplars} == {(16, 16, 3)} and all(one.size >= 96 for one in exemplars)


def test_a_video_without_a_face_lends_nothing(tmp_path, small_pipe):
    video = write_video(tmp_path / "wall.mp4", [on_background([], 320, 288)] * 4)
    with pytest.raises(MediaError, match=r"wall.mp4: shows no face; leave it out of detail_from"):
        other_exemplars(small_pipe, SyncOptions(detail="video", detail_from=[video]))
