"""Jobs of the page without a browser: limits, consent, results, and what is left behind."""

import re
import shutil
from pathlib import Path

import pytest
from helpers.app_page import TINY, tiny_settings, wait_for, write_face, write_half_second
from helpers.corpus_speech import needs_espeak
from helpers.face_videos import WOMAN, on_background, other_person, write_video

from diff2lip_diffusers.app.desk import MY_FACE, Desk
from diff2lip_diffusers.app.first_frame import LARGEST
from diff2lip_diffusers.app.job_inputs import SHIPPED_FACE
from diff2lip_diffusers.app.job_line import JobState
from diff2lip_diffusers.app.lip_sync_job import LipSyncRequest
from diff2lip_diffusers.app.models import DEFAULT_SCHEDULER, MODELS_OWN, Models
from diff2lip_diffusers.app.settings import DEMO_MODEL
from diff2lip_diffusers.app.texts import numbers_html
from diff2lip_diffusers.demo.demo_clip import demo_model_folder, teacher_folder
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.media.reader import probe_video, read_rgb

ONE_STEP = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def desk(folder):
    desk = Desk(tiny_settings(folder, max_text=40, max_pixels=640 * 360, max_duration=8), folder)
    yield desk
    desk.close()
    assert not desk.files.folder.exists()


@pytest.fixture(scope="module")
def face(desk) -> str:
    return str(write_face(desk.files.folder / "face.mp4"))


@pytest.fixture(scope="module")
def speech(desk) -> str:
    return str(write_half_second(desk.files.folder / "speech.wav"))


def request(video, speech=None, **more) -> LipSyncRequest:
    return LipSyncRequest(video, speech, **{"model": TINY, "options": ONE_STEP, **more})


def job_folders(desk) -> list[Path]:
    return list((desk.files.folder / "jobs").iterdir())


def test_a_job_gives_a_video_and_its_numbers(desk, face, speech):
    job = desk.lip_sync("a", True, request(face, speech, scheduler=MODELS_OWN))
    assert wait_for(job) is JobState.DONE, job.message
    done = job.result
    info = probe_video(done.result)
    assert (info.width, info.height, info.has_audio) == (240, 280, True)
    assert done.numbers.num_frames == len(list(read_rgb(done.result))) == 6
    assert done.numbers.seconds_per_frame > 0 and done.numbers.num_faceless_frames == 0
    assert done.numbers.sharpness is not None and done.numbers.offset_frames is None
    text = numbers_html(done.numbers)
    assert "Sharpness" in text and "Offset" not in text
    assert done.result.parent.parent == desk.files.folder / "jobs"
    shutil.rmtree(done.result.parent)


@needs_espeak
def test_text_is_spoken(desk, face):
    job = desk.lip_sync("a", True, request(face, text="Hello!\x1b ", voice="German, man"))
    assert wait_for(job) is JobState.DONE, job.message
    shutil.rmtree(job.result.result.parent)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"video": None}, "There is no video"),
        ({"speech": None}, "There is no speech"),
        ({"video": "/etc/passwd"}, "upload it again"),
        ({"speech": "../../etc/passwd"}, "upload it again"),
        ({"text": "a" * 41}, "41 characters, more than the limit of 40"),
        ({"text": "hi", "voice": "../x"}, "no voice"),
        ({"model": "/etc"}, "no model"),
        ({"options": {"num_inference_steps": -1}}, "num_inference_steps"),
        ({"options": {"num_inference_steps": "many"}}, "num_inference_steps"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_leaves_nothing(desk, face, speech, changes, reason):
    wanted = LipSyncRequest(**{"video": face, "speech": speech, "model": TINY, **changes})
    with pytest.raises((Diff2LipError, ValueError), match=re.escape(reason)) as caught:
        desk.lip_sync("a", True, wanted)
    assert "\n" not in str(caught.value)
    assert desk.line.jobs() == [] and job_folders(desk) == []


def test_broken_long_and_large_videos_are_refused_without_the_servers_paths(desk, speech):
    folder = desk.files.folder
    broken = folder / "<img src=x onerror=alert(1)>.mp4"
    broken.write_bytes(bytes(range(256)) * 40)
    long = write_video(folder / "long.mp4", [WOMAN[:64, :64]] * 205)
    large = write_video(folder / "large.mp4", [on_background([], 1280, 720)])
    for upload, reason in ((broken, "video.mp4: "), (long, "limit of 8 s"), (large, "1280 x 720")):
        with pytest.raises(Diff2LipError, match=reason) as caught:
            desk.lip_sync("a", True, request(str(upload), speech))
        assert str(folder) not in str(caught.value) and "raise the limit" not in str(caught.value)
        with pytest.raises(Diff2LipError) as caught:
            desk.first_frame(str(upload))
        assert str(folder) not in str(caught.value)
    assert job_folders(desk) == []


def test_nothing_begins_without_consent(desk, face, speech):
    for answer in (False, None, "yes", 1):
        with pytest.raises(Diff2LipError, match="agreed"):
            desk.lip_sync("a", answer, request(face, speech))
        with pytest.raises(Diff2LipError, match="agreed"):
            desk.personal("a", answer, [face], TINY, 1)


def test_the_chosen_face_is_painted(desk, speech):
    people = on_background([(WOMAN, 20, 80), (other_person(), 350, 80)])
    video = str(write_video(desk.files.folder / "two.mp4", [people] * 5, lossless=True))
    first = desk.first_frame(video)
    assert first.names == [LARGEST, "face 1", "face 2"]
    assert first.name_at(470, 220) == "face 2" and first.name_at(5, 5) == LARGEST
    assert np_differs(first.drawn("face 1"), first.drawn("face 2"))
    job = desk.lip_sync("a", True, request(video, speech, face="face 2"))
    assert wait_for(job) is JobState.DONE, job.message
    painted = next(iter(read_rgb(job.result.result))).astype(int)
    changed = (abs(painted - people).max(axis=2) > 24).sum(axis=0)
    assert changed[350:590].sum() > 10 * changed[:330].sum()
    shutil.rmtree(job.result.result.parent)


def np_differs(one, other) -> bool:
    return one.tobytes() != other.tobytes()


def test_the_shipped_face_brings_its_boxes(desk):
    upload = desk.files.folder / "face_copy.mp4"
    shutil.copyfile(SHIPPED_FACE, upload)
    assert len(desk.first_frame(str(upload)).faces) == 1


def test_a_model_of_a_person_starts_at_the_teacher_of_the_demos_model(folder):
    models = Models(tiny_settings(folder, models={DEMO_MODEL: demo_model_folder(), "ours": folder}))
    assert models.training_source("a", DEMO_MODEL) == teacher_folder()
    assert models.training_source("a", "ours") == folder
    with pytest.raises(Diff2LipError, match="There is no model 'my own face'"):
        models.training_source("a", MY_FACE)


def test_a_model_that_was_made_for_few_steps_keeps_them(folder):
    settings = tiny_settings(folder)
    models = Models(tiny_settings(folder, models={DEMO_MODEL: demo_model_folder(), **settings.models}))
    pipe, options = models.pipeline("a", DEMO_MODEL, DEFAULT_SCHEDULER)
    assert options == {} and pipe.config["default_num_inference_steps"] <= 4
    assert models.pipeline("a", TINY, DEFAULT_SCHEDULER)[1] == models.pipeline("a", TINY, "dpmsolver++")[1] != {}


def test_two_people_do_not_disturb_each_other(desk, face, speech):
    jobs = [desk.lip_sync(person, True, request(face, speech)) for person in ("a", "b")]
    desk.leave("a")
    assert wait_for(jobs[1]) is JobState.DONE, jobs[1].message
    assert wait_for(jobs[0]) is JobState.CANCELED
    assert job_folders(desk) == [jobs[1].result.result.parent]
    shutil.rmtree(jobs[1].result.result.parent)
