"""The examples run as written."""

import importlib.util
import json
import shutil
from pathlib import Path

import PIL.Image
import pytest
from helpers.face_videos import WOMAN, write_video
from helpers.recorded import make_pipeline

from diff2lip_diffusers.demo.demo_clip import demo_model_folder, load_demo_clip
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


def test_the_notebook_runs(tmp_path):
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat_read(EXAMPLES / "lip_sync.ipynb")
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "watermark: found" in printed and "Speech synthesised" in printed


def test_the_notebook_is_stored_without_outputs():
    cells = json.loads((EXAMPLES / "lip_sync.ipynb").read_text())["cells"]
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)


def test_the_space_serves_the_demo_model(monkeypatch):
    spec = importlib.util.spec_from_file_location("space", EXAMPLES / "space" / "app.py")
    space = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(space)
    monkeypatch.delenv("DIFF2LIP_MODEL", raising=False)
    assert list(space.settings().models.values()) == [demo_model_folder()]
    monkeypatch.setenv("DIFF2LIP_MODEL", "you/diff2lip")
    assert list(space.settings().models.values()) == ["you/diff2lip"]


def nbformat_read(path: Path):
    import nbformat

    return nbformat.read(path, as_version=4)
