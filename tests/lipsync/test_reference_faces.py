"""Which face shows the identity: in a whole job, what the model gets as its reference."""

import numpy as np
import PIL.Image
import pytest
from helpers.face_videos import WOMAN, WOMAN_FACE, on_background, other_person, write_speech, write_video

from diff2lip_diffusers import Detection, Diff2LipPipeline, FaceBox, MediaError, SyncOptions, sync_video
from diff2lip_diffusers.lipsync.compositing import resize_image
from diff2lip_diffusers.media.reader import read_rgb

SIZE, X, Y = (320, 288), 40, 4
FACE = FaceBox(WOMAN_FACE.x1 + X, WOMAN_FACE.y1 + Y, WOMAN_FACE.x2 + X, WOMAN_FACE.y2 + Y)
SHUT = 6  # the only frame with its mouth shut
QUICK = {"box": FACE, "num_inference_steps": 1, "detail": "none"}


def film_frame(index: int, person: np.ndarray = WOMAN) -> np.ndarray:
    frame = on_background([(person, X, Y)], *SIZE)
    if index != SHUT:
        middle, half = round(FACE.y1 + 0.8 * FACE.height), 4 + index % 3
        frame[middle - half : middle + half, FACE.x1 + 35 : FACE.x1 + 65] = (40, 8, 10)
    return frame


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    frames = [film_frame(index, WOMAN if index < 10 else other_person()) for index in range(14)]
    return write_video(folder / "face.mp4", frames, crf=4), write_speech(folder / "speech.wav", 1)


@pytest.fixture
def references(monkeypatch) -> list[np.ndarray]:
    """What the model is given as references, frame by frame."""
    seen, paint = [], Diff2LipPipeline.__call__

    def recording(self, frames, *args, reference_frames=None, **kwargs):
        seen.extend(reference_frames)
        return paint(self, frames, *args, reference_frames=reference_frames, **kwargs)

    monkeypatch.setattr(Diff2LipPipeline, "__call__", recording)
    return seen


def crops_of(video) -> list[np.ndarray]:
    return [resize_image(frame[FACE.y1 : FACE.y2, FACE.x1 : FACE.x2], 16, 16) for frame in read_rgb(video)]


def test_the_best_frame_shows_the_identity_where_it_looks_alike(tmp_path, small_pipe, film, references):
    sync_video(small_pipe, *film, tmp_path / "out.mp4", reference="best", **QUICK)
    crops = crops_of(film[0])
    for index, reference in enumerate(references[:14]):
        np.testing.assert_array_equal(reference, crops[SHUT if index < 10 else index])


def test_each_frame_shows_itself_on_request(tmp_path, small_pipe, film, references):
    sync_video(small_pipe, *film, tmp_path / "out.mp4", reference="frame", **QUICK)
    np.testing.assert_array_equal(references[:14], crops_of(film[0]))


@pytest.mark.parametrize("mode", ["cross", "reconstruction"])
def test_reproduce_takes_no_other_frame(tmp_path, small_pipe, film, references, mode):
    sync_video(small_pipe, *film, tmp_path / "out.mp4", reproduce=True, mode=mode, **QUICK)
    crops = crops_of(film[0])
    for index, reference in enumerate(references[:12]):
        np.testing.assert_array_equal(reference, crops[index if mode == "cross" else 0])


def test_an_image_shows_the_identity_in_all_frames(tmp_path, small_pipe, film, references):
    PIL.Image.fromarray(film_frame(SHUT)).save(tmp_path / "her.png")
    options = {**QUICK, "detector": lambda frames: [[Detection(FACE, 1.0)] for _ in frames]}
    sync_video(small_pipe, *film, tmp_path / "out.mp4", reference=tmp_path / "her.png", **options)
    (expected,) = crops_of(tmp_path / "her.png")
    assert len(references) >= 14
    for reference in references:
        np.testing.assert_array_equal(reference, expected)


def test_a_reference_that_cannot_be_used_is_named(tmp_path, small_pipe, film):
    PIL.Image.fromarray(on_background([], *SIZE)).save(tmp_path / "wall.png")
    for path, reason in (("wall.png", "shows no face"), ("nobody.png", "no such file")):
        with pytest.raises(MediaError, match=f"{path}: {reason}"):
            sync_video(small_pipe, *film, tmp_path / "out.mp4", reference=tmp_path / path, **QUICK)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("other", [{"mode": "random"}, {"mode": "reconstruction"}, {"reproduce": True}])
def test_what_chooses_the_reference_itself_takes_no_other(other):
    with pytest.raises(ValueError, match='`reference` needs mode "cross", without `reproduce`'):
        SyncOptions(reference="best", **other)
    assert SyncOptions(**other).shown_reference == "frame"


def test_a_dialogue_takes_no_single_face_as_reference():
    with pytest.raises(ValueError, match="leave out `reference`"):
        SyncOptions(segments=[{"start": 0, "audio": "a.wav"}], reference="her.png")
