import cv2
import numpy as np
import pytest
import skimage.data
from helpers.face_videos import pipeline_that, write_speech, write_video

from diff2lip_diffusers import FaceBox, sync_video
from diff2lip_diffusers.lipsync.occluders import occluded
from diff2lip_diffusers.media.reader import read_rgb

SIZE = 64
FACE = cv2.resize(skimage.data.astronaut()[72:204, 174:274], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
PAINTED = FACE.astype(np.float32) / 255


def with_bar(face: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    covered = face.copy()
    covered[rows, columns] = (20, 60, 160)
    return covered


@pytest.mark.parametrize(("rows", "columns"), [((38, 64), (10, 24)), ((36, 48), (0, 30)), ((36, 48), (30, 64))])
def test_a_thing_that_crosses_the_border_is_found(rows, columns):
    rows, columns = slice(*rows), slice(*columns)
    found = occluded(with_bar(FACE, rows, columns), PAINTED, 0.5)
    thing = np.zeros((SIZE, SIZE), bool)
    thing[rows, columns] = True
    assert found.shape == (SIZE, SIZE) and found.min() >= 0 and found.max() <= 1
    assert found[thing].mean() > 0.9
    far = cv2.dilate(thing.astype(np.uint8), np.ones((17, 17))) == 0
    assert found[far].max() < 0.05


def test_a_mouth_that_moves_is_painted():
    assert occluded(with_bar(FACE, slice(44, 54), slice(22, 42)), PAINTED, 0.5).max() == 0


def test_noise_and_light_are_no_things():
    noisy = FACE + np.random.default_rng(0).normal(0, 6, FACE.shape) + 12
    assert occluded(noisy.clip(0, 255).astype(np.uint8), PAINTED, 0.5).max() == 0


def test_what_is_found_stays_in_the_video(tmp_path, small_pipe):
    face = cv2.resize(with_bar(FACE, slice(40, 64), slice(8, 24)), (96, 96), interpolation=cv2.INTER_NEAREST)
    frame = np.full((128, 128, 3), 90, np.uint8)
    frame[16:112, 16:112] = face
    video = write_video(tmp_path / "face.mkv", [frame] * 2, codec="ffv1")
    speech = write_speech(tmp_path / "speech.wav", 0.5)
    without = cv2.resize(PAINTED, (16, 16), interpolation=cv2.INTER_AREA)
    pipe = pipeline_that(lambda crops: np.repeat(without[None], len(crops), axis=0), small_pipe)
    options = {"box": FaceBox(16, 16, 112, 112), "codec": "ffv1", "detail": "none"}
    for name, keep in (("painted", False), ("kept", True)):
        sync_video(pipe, video, speech, tmp_path / f"{name}.mkv", keep_occluders=keep, **options)
    bar = slice(84, 104), slice(32, 48)
    painted, kept = (next(read_rgb(tmp_path / f"{name}.mkv"))[bar].astype(int) for name in ("painted", "kept"))
    assert np.abs(painted - frame[bar]).mean() > 20
    assert np.abs(kept - frame[bar]).mean() < 3
