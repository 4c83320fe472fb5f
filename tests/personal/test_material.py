"""Videos of a person: what is held out, and what is missing."""

from pathlib import Path

import pytest
from helpers.prepare_films import FACE, portrait, write_talk
from helpers.talking_person import write_person

from diff2lip_diffusers.errors import MediaError
from diff2lip_diffusers.personal.material import prepare_material, split_by_time
from diff2lip_diffusers.personal.options import PersonalizeOptions
from diff2lip_diffusers.personal.unusable_videos import UnusableVideosError
from diff2lip_diffusers.training.training_clips import Clip, find_clips

OPTIONS = PersonalizeOptions(consent=True)


def clips(*frames: int) -> list[Clip]:
    return [Clip(Path("clips"), f"clip_{number}", count, "person", 25.0) for number, count in enumerate(frames)]


@pytest.mark.parametrize(
    "frames, trained, held_out",
    [
        ((250,), [200], [(200, 250)]),
        ((1000,), [800], [(800, 1000)]),
        ((3000,), [2750], [(2750, 3000)]),  # never more than 10 s
        ((210, 40), [200], [(200, 210), (0, 40)]),  # a short clip whole, and the rest of 2 s before it
        ((150, 150, 60), [150, 138], [(138, 150), (0, 60)]),
        ((60,), [30], [(30, 60)]),  # never more than half of the only clip
    ],
)
def test_the_last_fifth_is_held_out(frames, trained, held_out):
    left, parts = split_by_time(clips(*frames))
    assert [clip.frames for clip in left] == trained
    assert [(part.start, part.end) for part in parts] == held_out


def test_several_videos_become_one_person(tmp_path):
    films = [write_person(tmp_path / f"{number}.mp4", 4.5) for number in range(2)]
    material = prepare_material(films, tmp_path / "work", 32, OPTIONS)
    trained, size_px = find_clips(material.folder)
    assert size_px == 32 and [clip.frames for clip in trained] == [112, 62]
    assert [(part.clip.name, part.start, part.end) for part in material.held_out] == [("1_000", 62, 112)]
    assert material.seconds == pytest.approx(8.96) and material.speech_s == pytest.approx(8.96)
    assert material.trained_s == pytest.approx(6.96) and material.face_px == 100


def test_too_little_speech_is_one_line_that_says_how_much_is_missing(tmp_path):
    film = write_person(tmp_path / "short.mp4", 3)
    expected = r"^[^\n]*short.mp4: 3.0 s of speech with a face of 96 pixels or more, expected at least 8 s; add 5.0 s$"
    with pytest.raises(UnusableVideosError, match=expected):
        prepare_material([film], tmp_path / "work", 32, OPTIONS)


def test_pauses_are_no_speech(tmp_path):
    film = write_person(tmp_path / "pauses.mp4", 9, quiet_from_s=6)
    with pytest.raises(UnusableVideosError, match=r"pauses.mp4: 6\.\d s of speech"):
        prepare_material([film], tmp_path / "work", 32, OPTIONS)


@pytest.mark.parametrize(
    "film, reason",
    [
        ({"speech": None}, "no sound: the video is silent, and there is no talk.wav beside it"),
        ({"boxes": [None] * 30}, "no face: mtcnn found no face"),
        (
            {"boxes": [FACE.padded(-20, -20, -20, -20)] * 30},
            "too small: the face has 60 pixels, expected at least 96",
        ),
    ],
)
def test_the_line_says_why_something_was_left_out(tmp_path, film, reason):
    path = write_talk(tmp_path / "talk.mp4", frames=[portrait()] * 30, **film)
    with pytest.raises(UnusableVideosError, match=rf"talk.mp4: 0.0 s of speech[^\n]* \(left out: {reason}\)$"):
        prepare_material([path], tmp_path / "work", 32, OPTIONS)


def test_a_file_that_is_no_video(tmp_path):
    (tmp_path / "talk.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match=r"^[^\n]*talk.mp4: [^\n]*$"):
        prepare_material([tmp_path / "talk.mp4"], tmp_path / "work", 32, OPTIONS)
