"""Several threads lip-sync with one pipeline, and one of them is interrupted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.face_videos import write_speech, write_video

from diff2lip_diffusers import sync_video
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.media.reader import read_rgb
from diff2lip_diffusers.schedulers import make_scheduler

BOX = (16, 16, 80, 80)
JOBS = [{"num_inference_steps": 2}, {"num_inference_steps": 5, "guidance_scale": 2.0}, {"seed": 8, "batch_size": 3}]


@pytest.fixture
def clip(tmp_path) -> tuple[Path, Path]:
    frames = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
    return write_video(tmp_path / "face.mkv", frames, codec="ffv1"), write_speech(tmp_path / "speech.wav", 0.5)


def job(pipe, clip, output: Path, **options) -> np.ndarray:
    """The written frames; nothing is lost in the file."""
    sync_video(pipe, *clip, output, box=BOX, codec="ffv1", **{"num_inference_steps": 3} | options)
    return np.stack(list(read_rgb(output)))


def test_threads_write_what_they_write_alone(small_pipe, clip, tmp_path):
    small_pipe.scheduler = make_scheduler("dpmsolver++", small_pipe.scheduler.config)
    alone = [job(small_pipe, clip, tmp_path / f"alone{k}.mkv", **options) for k, options in enumerate(JOBS)]
    with ThreadPoolExecutor(3) as pool:
        together = [pool.submit(job, small_pipe, clip, tmp_path / f"{k}.mkv", **JOBS[k % 3]) for k in range(6)]
    for one, expected in zip(together, alone * 2, strict=True):
        np.testing.assert_array_equal(one.result(), expected)
    assert not np.array_equal(alone[0], alone[1]) and not np.array_equal(alone[0], alone[2])
    assert small_pipe._progress_bar_config == {"disable": True}  # as the fixture left it


def test_a_face_that_is_not_finite_is_refused(small_pipe, clip, tmp_path):
    """As where the weights overflow: nothing black is painted over the mouth."""
    hook = small_pipe.unet.register_forward_hook(lambda _module, _inputs, output: type(output)(output.sample * np.nan))
    with hook, pytest.raises(Diff2LipError, match="frame 0: what the model painted is not finite.*--dtype fp32"):
        job(small_pipe, clip, tmp_path / "out.mkv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["face.mkv", "speech.wav"]


def test_an_interrupted_job_writes_nothing(small_pipe, clip, tmp_path):
    def interrupt(_done, _total):
        raise AssertionError("a frame was painted")

    def on_first_step(*_):
        small_pipe._interrupt = True

    hook = small_pipe.unet.register_forward_hook(on_first_step)
    with pytest.raises(Diff2LipError, match="interrupted"):
        job(small_pipe, clip, tmp_path / "out.mkv", on_progress=interrupt)
    hook.remove()
    assert not (tmp_path / "out.mkv").exists()
    assert len(job(small_pipe, clip, tmp_path / "out.mkv")) == 6
