"""The examples run as written."""

import importlib.util
from pathlib import Path

import PIL.Image
import pytest
from conftest import make_pipeline

from diff2lip_diffusers.demo import FPS, draw_face, write_voice
from diff2lip_diffusers.media import probe_video
from diff2lip_diffusers.media_writer import VideoWriter

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
    write_voice(folder / "voice.wav")
    PIL.Image.fromarray(draw_face(0.5)[74:316, 92:292]).save(folder / "crop.png")
    with VideoWriter(folder / "face.mp4", width=384, height=384, fps=FPS) as writer:
        for index in range(3):
            writer.write(draw_face(0.5 + index / FPS))
    return folder


def test_sync_one_video(folder, capsys):
    arguments = [str(folder / name) for name in ("model", "face.mp4", "voice.wav", "out.mp4")]
    load("sync_one_video").main(*arguments)
    assert "3 frames at 25 a second" in capsys.readouterr().out
    assert probe_video(folder / "out.mp4").has_audio


def test_compare_schedulers(folder):
    load("compare_schedulers").main(*(str(folder / name) for name in ("model", "crop.png", "voice.wav", "row.png")))
    assert PIL.Image.open(folder / "row.png").size == (4 * 64, 64)
