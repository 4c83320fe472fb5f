"""The demo: what comes with the package, and that the shipped face says the shipped sentence."""

import numpy as np
import PIL.Image
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus.head import render_frame
from diff2lip_diffusers.demo import demo_clip
from diff2lip_diffusers.demo.contact_sheet import contact_sheet
from diff2lip_diffusers.demo.demo_clip import (
    ASSETS,
    FPS,
    SIZE_PX,
    demo_model_folder,
    load_demo_clip,
    teacher_folder,
    write_demo_clip,
)
from diff2lip_diffusers.demo.run_demo import run_demo
from diff2lip_diffusers.hub import load_pipeline
from diff2lip_diffusers.media.reader import probe_video, read_audio, read_rgb

MEGABYTES_18 = 18_000_000


def test_everything_that_is_shipped_is_small():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) <= MEGABYTES_18
    for folder in (demo_model_folder(), teacher_folder()):
        names = {path.suffix for path in folder.rglob("*") if path.is_file()}
        assert names <= {".json", ".safetensors", ".md", ".yaml"}


@pytest.mark.parametrize("folder", [demo_model_folder(), teacher_folder()], ids=lambda folder: folder.name)
def test_shipped_weights_load_and_say_their_license(folder):
    pipe = load_pipeline(folder, device="cpu", dtype="fp32")
    assert pipe.unet.config.sample_size == 128
    card = (folder / "README.md").read_text()
    assert "license: apache-2.0" in card


def test_shipped_clip_shows_what_its_truth_says():
    clip = load_demo_clip()
    info = probe_video(clip.video)
    assert (info.width, info.height, info.fps, info.has_audio) == (SIZE_PX, SIZE_PX, FPS, True)
    frames = list(read_rgb(clip.video))
    assert len(frames) == len(clip.mouth) == len(clip.own_mouth) == len(clip.poses)
    for index in (10, 60):
        drawn = render_frame(clip.identity, clip.poses[index], clip.own_mouth[index], SIZE_PX)
        assert np.abs(frames[index].astype(int) - drawn).mean() < 3
    samples, sampling_rate = read_audio(clip.speech)
    assert int(len(samples) / sampling_rate * FPS) == len(clip.mouth)


def test_video_never_said_the_speech():
    clip = load_demo_clip()
    assert abs(np.corrcoef(clip.mouth[:, 0], clip.own_mouth[:, 0])[0, 1]) < 0.3
    assert clip.text == demo_clip.SPEECH_TEXT


@needs_espeak
def test_clip_can_be_made_again(tmp_path):
    write_demo_clip(tmp_path)
    for name in ("face", "speech"):
        ours, theirs = (np.loadtxt(folder / f"{name}.csv", delimiter=",", skiprows=1) for folder in (tmp_path, ASSETS))
        assert ours.shape == theirs.shape
    assert probe_video(tmp_path / "face.mp4").has_audio


@needs_espeak
def test_clip_of_another_sentence_is_as_long_as_that(tmp_path):
    write_demo_clip(tmp_path, "Oh, why?")
    clip = load_demo_clip(tmp_path)
    samples, sampling_rate = read_audio(clip.speech)
    assert clip.text == "Oh, why?"
    assert len(list(read_rgb(clip.video))) == len(clip.mouth) == int(len(samples) / sampling_rate * FPS)
    assert len(clip.mouth) < len(load_demo_clip().mouth) and clip.mouth[:, 0].max() > 0.3


def test_contact_sheet_shows_rows_wave_and_curves():
    rows = [(name, [np.full((20, 30, 3), level, np.uint8)] * 3) for name, level in (("one", 90), ("two", 160))]
    tone, curve = np.sin(np.arange(1600) / 9).astype(np.float32), np.linspace(0, 1, 50)
    sheet = np.asarray(contact_sheet(rows, (0.1, 0.5, 0.9), tone, [("true", curve), ("painted", 1 - curve)]))
    assert sum((sheet == level).all(axis=2).sum() == 3 * 20 * 30 for level in (90, 160)) == 2
    for color in ((36, 124, 92), (214, 96, 52)):
        assert (sheet == color).all(axis=2).sum() > 100


@pytest.mark.slow
def test_demo_talks(tmp_path):
    result = run_demo(tmp_path / "demo.mp4")
    info = probe_video(tmp_path / "demo.mp4")
    assert result.sync.num_frames == len(load_demo_clip().mouth)
    assert (info.width, info.height, info.fps, info.has_audio) == (SIZE_PX, SIZE_PX, FPS, True)
    assert result.target_speech.correlation > 0.7
    assert abs(result.target_speech.lag_frames) <= 1
    assert abs(result.original_speech.correlation) < 0.4
    with PIL.Image.open(tmp_path / "demo.png") as sheet:
        assert sheet.width > 1000
