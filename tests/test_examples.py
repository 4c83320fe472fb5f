"""The examples run as written."""

import importlib.util
import shutil
from pathlib import Path

import PIL.Image
import pytest
from helpers.face_videos import WOMAN, write_video
from helpers.recorded import make_pipeline

from diff2lip_diffusers.demo.demo_clip import load_demo_clip
from diff2lip_diffusers.media.reader import probe_video

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
    shutil.copy(load_demo_clip().speech, folder / "voice.wav")
    PIL.Image.fromarray(WOMAN[60:220, 34:194]).save(folder / "crop.png")
    write_video(folder / "face.mp4", [WOMAN] * 3)
    return folder


def test_sync_one_video(folder, capsys):
    arguments = [str(folder / name) for name in ("model", "face.mp4", "voice.wav", "out.mp4")]
    load("sync_one_video").main(*arguments)
    assert "3 frames at 25 per second" in capsys.readouterr().out
    assert probe_video(folder / "out.mp4").has_audio


def test_compare_schedulers(folder):
    load("compare_schedulers").main(*(str(folder / name) for name in ("model", "crop.png", "voice.wav", "row.png")))
    assert PIL.Image.open(folder / "row.png").size == (4 * 64, 64)
