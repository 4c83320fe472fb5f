"""A page with a tiny model, and files that people give it."""

import time
from pathlib import Path

import av

from diff2lip_diffusers.app.job_line import JobState, QueuedJob
from diff2lip_diffusers.app.settings import AppSettings
from helpers.face_videos import WOMAN, on_background, write_speech, write_video
from helpers.untrained import untrained_pipeline

TINY = "tiny"
WAIT_S = 240


def tiny_settings(folder: Path, **changes) -> AppSettings:
    """Settings with a model that paints noise of 16 x 16 pixels, as fast as possible."""
    model = folder / "tiny-model"
    if not model.exists():
        untrained_pipeline(sample_size=16).save_pretrained(model)
    defaults = {"models": {TINY: model}, "device": "cpu", "dtype": "fp32", "max_duration": 2.0}
    return AppSettings(**{**defaults, **changes})


def write_face(path: Path, num_frames: int = 6) -> Path:
    """A video of a woman; the detector finds her."""
    return write_video(path, [WOMAN] * num_frames)


def write_camera(path: Path) -> Path:
    """What a false camera of Chromium shows, without end: a woman."""
    with av.open(str(path), "w", format="yuv4mpegpipe") as file:
        stream = file.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        picture = av.VideoFrame.from_ndarray(on_background([(WOMAN, 200, 80)], 640, 480), format="rgb24")
        for _ in range(10):
            file.mux(stream.encode(picture.reformat(format="yuv420p")))
    return path


def write_half_second(path: Path) -> Path:
    """Something like speech."""
    return write_speech(path, 0.5)


def wait_for(job: QueuedJob) -> JobState:
    """The last state of a job."""
    end_s = time.monotonic() + WAIT_S
    while not job.is_over:
        assert time.monotonic() < end_s, f"stuck: {job.stage}"
        time.sleep(0.01)
    return job.state
