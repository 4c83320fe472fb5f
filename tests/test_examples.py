"""The examples run as written."""

import importlib.util
import itertools
import shutil
from pathlib import Path

import PIL.Image
import pytest
from helpers.recorded import make_pipeline

from diff2lip_diffusers.demo.demo_clip import load_demo_clip
from diff2lip_diffusers.media.reader import probe_video, read_rgb
from diff2lip_diffusers.media.video_writer import VideoWriter

EXAMPLES = Path(__file__).parent.parent / "examples"

pytestmark = pytest.mark.slow


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    make_pipeline("tiny").save_pretrained(folder / "model")
    clip = load_demo_clip()
    shutil.copy(clip.speech, folder / "voice.wav")
    frames = list(itertools.islice(read_rgb(clip.video), 3))
    PIL.Image.fromarray(frames[0][54:216, 48:208]).save(folder / "crop.png")
    with VideoWriter(folder / "face.mp4", width=256, height=256, fps=25) as writer:
        for frame in frames:
            writer.write(frame)
    return folder


def test_sync_one_video(folder, capsys):
    arguments = [str(folder / name) for name in ("model", "face.mp4", "voice.wav", "out.mp4")]
    load("sync_one_video").main(*arguments)
    assert "3 frames at 25 per second" in capsys.readouterr().out
    assert probe_video(folder / "out.mp4").has_audio


def test_compare_schedulers(folder):
    load("compare_schedulers").main(*(str(folder / name) for name in ("model", "crop.png", "voice.wav", "row.png")))
    assert PIL.Image.open(folder / "row.png").size == (4 * 64, 64)
