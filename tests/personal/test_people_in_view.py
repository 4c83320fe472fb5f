"""Two people in view: who is meant must be said."""

import pytest
from helpers.face_videos import write_video
from helpers.prepare_films import FACE, HEIGHT, WIDTH, portrait

from diff2lip_diffusers.boxes import Detection, FaceBox
from diff2lip_diffusers.faces.detections_file import DetectionsWriter
from diff2lip_diffusers.personal.people_in_view import check_one_person
from diff2lip_diffusers.personal.unusable_videos import UnusableVideosError
from diff2lip_diffusers.prepare.source_videos import InputVideo

SECOND = FaceBox(200, 60, 280, 160)
CHILD_ON_A_PHOTO = FaceBox(200, 60, 240, 110)


@pytest.fixture
def film(tmp_path):
    def film(*seconds: list[FaceBox]) -> InputVideo:
        path = write_video(tmp_path / "talk.mp4", [portrait()] * (25 * len(seconds)))
        with DetectionsWriter(tmp_path / "talk.boxes.jsonl", WIDTH, HEIGHT, 25) as writer:
            for faces in seconds:
                for _ in range(25):
                    writer.write([Detection(box, 1.0) for box in faces])
        return InputVideo(path, "talk", "films")

    return film


def test_two_people_are_one_line_that_says_where_they_are(film):
    expected = r"^[^\n]*talk.mp4: shows 2 people, at 1 s at 154,148 and 240,110; which one\? [^\n]*\(--face\)$"
    with pytest.raises(UnusableVideosError, match=expected):
        check_one_person(film([FACE], [SECOND, FACE], [FACE, SECOND]), "mtcnn")


@pytest.mark.parametrize(
    "seconds",
    [[[FACE]] * 2, [[FACE, CHILD_ON_A_PHOTO]] * 2, [[FACE, SECOND], *[[FACE]] * 5], [[], [FACE]]],
    ids=["one", "a small face in the background", "a passer-by", "nobody at first"],
)
def test_one_person_is_fine(film, seconds):
    check_one_person(film(*seconds), "mtcnn")


def test_the_detector_finds_two_people_where_no_boxes_are_known(tmp_path):
    from helpers.face_videos import WOMAN, on_background, other_person

    frame = on_background([(WOMAN, 20, 40), (other_person(), 360, 40)], 640, 360)
    video = InputVideo(write_video(tmp_path / "two.mp4", [frame] * 25), "two", "films")
    with pytest.raises(UnusableVideosError, match="shows 2 people, at 0 s"):
        check_one_person(video, "mtcnn")
