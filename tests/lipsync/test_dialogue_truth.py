"""A dialogue of drawn people, whose true mouths are known, with the weights in the package."""

import wave

import numpy as np
import pytest
import torch
from PIL import Image

from diff2lip_diffusers import Detection, FaceBox, sync_video
from diff2lip_diffusers.corpus.head import render_frame
from diff2lip_diffusers.corpus.head_view import face_box
from diff2lip_diffusers.corpus.visemes import PARAMETERS
from diff2lip_diffusers.demo.demo_clip import demo_model_folder
from diff2lip_diffusers.evaluation.agreement import agreement
from diff2lip_diffusers.evaluation.drawn_people import draw_people
from diff2lip_diffusers.evaluation.mouth_opening import mouth_opening, opening_zones
from diff2lip_diffusers.faces.detections_file import DetectionsWriter
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.media.reader import read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter
from diff2lip_diffusers.schedulers import make_scheduler

pytestmark = pytest.mark.slow

SIDE_PX, FPS, FRAMES, SEED = 192, 25, 44, 930001
# Frames in which the left and the right person speak; both speak in 25 of them.
LEFT, RIGHT = range(34), range(9, FRAMES)
OPTIONS = {"num_inference_steps": 6, "reference": "best", "lossless": True}


@pytest.fixture(scope="module")
def people():
    """Two drawn people, each with a sentence of somebody else's to say."""
    first, _, second, _ = draw_people(4, FRAMES, SEED)
    return first, second


@pytest.fixture(scope="module")
def film(people, tmp_path_factory):
    """A video of both, side by side, with the true boxes of their faces; and their recordings."""
    folder = tmp_path_factory.mktemp("film")
    with (
        VideoWriter(folder / "two.mkv", width=2 * SIDE_PX, height=SIDE_PX, fps=FPS, crf=4) as video,
        DetectionsWriter(folder / "boxes.jsonl", 2 * SIDE_PX, SIDE_PX, FPS) as boxes,
    ):
        for index in range(FRAMES):
            shapes = [person.mouth(person.original)[index] for person in people]
            shown = zip(people, shapes, strict=True)
            halves = [render_frame(person.identity, person.poses[index], shape, SIDE_PX) for person, shape in shown]
            video.write(np.concatenate(halves, axis=1))
            boxes.write([Detection(box, 1.0) for box in face_boxes(people, index)])
    for name, person in zip(("left", "right"), people, strict=True):
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, person.target.sampling_rate, 0, "NONE", "NONE"))
            file.writeframes(np.round(person.target.samples * 32767).astype("<i2").tobytes())
    return folder


@pytest.fixture(scope="module")
def pipe():
    pipe = load_pipeline(str(demo_model_folder()), device="cpu", dtype="fp32")
    pipe.scheduler = make_scheduler("dpmsolver++", pipe.scheduler.config)
    return pipe


def face_boxes(people, index: int) -> list[FaceBox]:
    found = []
    for position, person in enumerate(people):
        box, x = face_box(person.identity, person.poses[index], SIDE_PX), position * SIDE_PX
        found.append(FaceBox(box.x1 + x, box.y1, box.x2 + x, box.y2))
    return found


def openings(path, people, position: int) -> np.ndarray:
    """How far a person's mouth is open in each frame of a video."""
    person, crops = people[position], []
    for index, frame in enumerate(read_rgb(path)):
        box = face_boxes(people, index)[position].rounded()
        crop = Image.fromarray(frame[box.y1 : box.y2, box.x1 : box.x2]).resize((64, 64), Image.Resampling.BILINEAR)
        crops.append(np.asarray(crop, np.float32) / 255)
    faces = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return mouth_opening(faces, opening_zones(person.identity, person.poses, 64), person.identity, person.poses)


def true_openings(person) -> np.ndarray:
    return person.mouth(person.target)[:, PARAMETERS.index("opening")]


def test_each_mouth_follows_its_own_recording_while_both_speak(tmp_path, film, people, pipe):
    rows = [
        {"start": 0, "end": len(LEFT) / FPS, "audio": film / "left.wav", "face": 0},
        {"start": RIGHT[0] / FPS, "audio": film / "right.wav", "face": 1},
    ]
    options = {**OPTIONS, "detections": film / "boxes.jsonl", "detail": "video"}
    sync_video(pipe, film / "two.mkv", None, tmp_path / "out.mkv", segments=rows, **options)
    both = slice(RIGHT[0], LEFT[-1] + 1)
    true = [true_openings(people[0])[both], true_openings(people[1])[: both.stop - both.start]]
    for position in (0, 1):
        measured = openings(tmp_path / "out.mkv", people, position)[both]
        own, other = agreement(measured, true[position]), agreement(measured, true[1 - position])
        print(f"\nface {position}: own {own}, other {other}", end="")
        assert own.correlation > max(0.4, other.correlation + 0.15) and abs(own.lag_frames) <= 1


def test_the_mouth_is_in_time_with_the_recording_that_drives_it(tmp_path, film, people, pipe):
    options = {**OPTIONS, "detections": film / "boxes.jsonl", "face": 0, "detail": "none"}
    output = tmp_path / "out.mkv"
    sync_video(pipe, film / "two.mkv", film / "right.wav", output, drive=film / "left.wav", **options)
    measured, true = openings(output, people, 0), [true_openings(person) for person in people]
    driven, heard = (agreement(measured, curve) for curve in true)
    print(f"\ndriven {driven}, heard {heard}", end="")
    assert driven.lag_frames == 0 and driven.correlation > max(0.4, heard.correlation + 0.15)
