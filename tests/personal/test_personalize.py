"""A personal model from videos to a pipeline folder: what it holds, and what an interruption must not change."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from diffusers import DiffusionPipeline
from helpers.commands import run_command
from helpers.talking_person import write_base, write_person, write_wave

from diff2lip_diffusers.errors import Diff2LipError, MediaError
from diff2lip_diffusers.personal.base_weights import read_base_weights
from diff2lip_diffusers.personal.inputs_record import InputsRecord
from diff2lip_diffusers.personal.options import PersonalizeOptions
from diff2lip_diffusers.personal.person_folder import PersonFolder
from diff2lip_diffusers.personal.personalize import personalize

STEPS = {"max_train_steps": 3, "train_batch_size": 2, "learning_rate": 1e-3}
FILES = {"README.md", "audio_encoder", "feature_extractor", "model_index.json", "personal.json"}
FILES |= {"report.html", "scheduler", "unet"}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    return write_person(tmp_path_factory.mktemp("film") / "ana.mp4")


@pytest.fixture(scope="module")
def small(tmp_path_factory, base) -> dict:
    """Options of a run of seconds: the other speech has room for one place only."""
    samples = np.random.default_rng(0).normal(0, 0.1, 40000)
    speech = write_wave(tmp_path_factory.mktemp("speech") / "other.wav", samples)
    return {"consent": True, "model": base, "speech": speech} | STEPS


class Killed(Exception):
    """Stands for the end of the process."""


def killed_at(step: int):
    def on_progress(progress):
        if progress.step == step:
            raise Killed

    return on_progress


def losses(folder: Path) -> list[dict]:
    lines = map(json.loads, (folder / "work" / "run" / "log.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def scores(folder: Path) -> list[dict]:
    return [one["score"] for one in json.loads((folder / "work" / "run" / "progress.json").read_text())]


def test_a_pipeline_folder_with_card_and_report(tmp_path, base, film, small):
    seen = []
    model = personalize(film, tmp_path / "ana", on_progress=seen.append, **small)
    assert {path.name for path in model.folder.iterdir()} == FILES
    assert [progress.step for progress in seen] == [1, 2, 3] and seen[-1].left_s == 0
    pipe: Any = DiffusionPipeline.from_pretrained(model.folder)
    started, trained = DiffusionPipeline.from_pretrained(base).unet, pipe.unet
    assert type(pipe.scheduler).__name__ == "UniPCMultistepScheduler"
    assert pipe.config.default_num_inference_steps == 9
    if model.results["step"]:
        assert not torch.equal(started.conv_in.weight, trained.conv_in.weight)
    card = yaml.safe_load((model.folder / "README.md").read_text().split("---")[1])
    assert card["license"] == "apache-2.0"
    text = (model.folder / "README.md").read_text()
    assert re.search(r"On 20\d\d-\d\d-\d\d, the maker of this model confirmed that the person", text)
    assert "tiny" in text and str(base.parent) not in text
    page = model.report.read_text()
    assert "data:image/png;base64," in page and not re.search(r'(src|href)="(?!data:)', page)
    assert {"before", "after", "other_correlation", "sharpness", "num_frames"} <= model.results.keys()
    assert model.results["num_frames"] == 50 and model.results["steps"] == 3
    again = personalize(film, tmp_path / "ana", **small)
    assert again.results == model.results


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_losses_and_scores(tmp_path, film, small):
    def unfinished(name: str, at: int) -> Path:
        with pytest.raises(Killed):
            personalize(film, tmp_path / name, on_progress=killed_at(at), **small)
        return tmp_path / name

    whole = unfinished("whole", 3)
    # Three steps are evaluated each; the second process takes a checkpoint of the first one.
    unfinished("parts", 2)
    options = {name: value for name, value in small.items() if name != "consent"}
    with pytest.raises(Killed):
        personalize(film, tmp_path / "parts", on_progress=killed_at(3), **options)
    assert len(losses(whole)) == 3
    for name in losses(whole)[0]:
        values = [[line[name] for line in losses(tmp_path / run)] for run in ("whole", "parts")]
        assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert len(scores(whole)) == 4
    for one, other in zip(scores(whole), scores(tmp_path / "parts"), strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def test_the_license_of_the_weights_is_known(tmp_path, base):
    converted = read_base_weights(write_base(tmp_path / "converted", "cc-by-nc-4.0"))
    assert converted.license == "cc-by-nc-4.0"
    assert converted.license_text is not None and "Converted Diff2Lip weights" in converted.license_text
    assert (read_base_weights(base).license, read_base_weights(base).license_text) == ("apache-2.0", None)


@pytest.mark.slow
def test_an_adapter_is_merged_and_kept(tmp_path, base, film, small):
    rising = small | {"lora_rank": 2, "learning_rate": 1e-2, "max_train_steps": 2}
    model = personalize(film, tmp_path / "ana", **rising)
    assert (model.folder / "lora" / "pytorch_lora_weights.safetensors").is_file()
    merged: Any = DiffusionPipeline.from_pretrained(model.folder)
    pipe: Any = DiffusionPipeline.from_pretrained(base)
    pipe.unet.load_lora_adapter(str(model.folder / "lora"), prefix=None, use_safetensors=True)
    inputs = {"frames": torch.rand(2, 3, 16, 16), "mel_windows": torch.zeros(1, 80, 16), "output_type": "pt"}
    results = [
        some(**inputs, num_inference_steps=2, generator=torch.Generator().manual_seed(0)).frames
        for some in (merged, pipe)
    ]
    torch.testing.assert_close(*results, rtol=0, atol=1e-4)


def test_without_consent_nothing_is_made(tmp_path, base, film):
    with pytest.raises(ValueError, match=r"^`consent` is missing; [^\n]*\(--i-have-consent\)$"):
        personalize(film, tmp_path / "ana", model=base)
    assert not (tmp_path / "ana").exists()


def test_unusable_videos_leave_nothing(tmp_path, small):
    film = write_person(tmp_path / "short.mp4", 3)
    with pytest.raises(Diff2LipError, match="3.0 s of speech"):
        personalize(film, tmp_path / "ana", **small)
    assert not (tmp_path / "ana").exists()


@pytest.mark.parametrize(
    "videos, options, message",
    [
        ({"a.mp4": [1]}, {"seed": 1}, r"ana: was begun with `seed` 0, now it is 1; [^\n]*$"),
        ({"a.mp4": [2]}, {"seed": 0}, r"ana: was begun with other videos, or they have changed; [^\n]*$"),
    ],
)
def test_a_resumed_command_must_mean_the_same(tmp_path, videos, options, message):
    folder = PersonFolder(tmp_path / "ana")
    begun = InputsRecord({"a.mp4": [1]}, {"seed": 0}, 700, "2026-01-31")
    with folder.alone():
        folder.store(begun)
    with pytest.raises(Diff2LipError, match=message):
        folder.begin(InputsRecord(videos, options, 0, "2026-02-01"))
    assert folder.begin(InputsRecord(begun.videos, begun.options, 0, "2026-02-01")) == begun


def test_other_files_in_the_folder_are_safe(tmp_path, film, small):
    (tmp_path / "ana").mkdir()
    (tmp_path / "ana" / "thesis.txt").write_text("years of work")
    with pytest.raises(MediaError, match="is neither empty nor a personal model"):
        personalize(film, tmp_path / "ana", **small)
    assert (tmp_path / "ana" / "thesis.txt").read_text() == "years of work"


def test_wrong_weights_are_one_line(tmp_path, film, small):
    for model, message in ((tmp_path, "has no model_index.json"), (tmp_path / "no" / "such" / "folder", "no such")):
        with pytest.raises(Diff2LipError, match=message) as caught:
            personalize(film, tmp_path / "ana", **small | {"model": model})
        assert "\n" not in str(caught.value) and not (tmp_path / "ana").exists()


@pytest.mark.slow
def test_no_space_is_one_line_and_the_same_command_goes_on(tmp_path, film, small):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_disk(progress):
        if progress.step == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    try:
        with pytest.raises(Diff2LipError, match=r"^[^\n]*cannot be written: [^\n]*make room[^\n]*$"):
            personalize(film, tmp_path / "ana", on_progress=fill_disk, **small)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert personalize(film, tmp_path / "ana", **small).results["steps"] == 3


def test_other_speech_that_is_too_short(tmp_path, film, small):
    speech = write_wave(tmp_path / "word.wav", np.full(4000, 0.1))
    with pytest.raises(Diff2LipError, match=r"word.wav: its audio lasts 0.2\d+ s, but needs at least 1.000 s"):
        personalize(film, tmp_path / "ana", **small | {"speech": speech})


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"minutes": 0}, "`minutes` is 0, expected a number above 0"),
        ({"lora_rank": -1}, "`lora_rank` is -1, expected a whole number, 0 or more"),
        ({"max_train_steps": 0}, "`max_train_steps` is 0, expected a whole number, 1 or more"),
        ({"detector": "eyes"}, "`detector` is 'eyes', known are mtcnn"),
        ({"face": "left"}, "face"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        PersonalizeOptions(**wrong)


def test_the_command_asks_for_consent_only_on_a_terminal(capfd, tmp_path, base, film):
    code, out, errors = run_command(
        capfd, "personalize", str(film), "--output", str(tmp_path / "ana"), "--model", str(base)
    )
    assert code == 1 and not out and len(errors) == 1 and "--i-have-consent" in errors[0]


@pytest.mark.slow
def test_kill_9_and_the_same_command(tmp_path, base, film):
    def command(name: str) -> list[str]:
        options = ["--model", str(base), "--steps", "20", "--batch-size", "2", "--i-have-consent"]
        return [sys.executable, "-m", "diff2lip_diffusers", "personalize", str(film), "--output", name, *options]

    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(command(str(tmp_path / "ana")), env=environment)
    log = tmp_path / "ana" / "work" / "run" / "log.jsonl"
    while killed.poll() is None and not (log.exists() and len(log.read_text().splitlines()) >= 7):
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    before = losses(tmp_path / "ana")
    subprocess.run(command(str(tmp_path / "ana")), env=environment, check=True)
    subprocess.run(command(str(tmp_path / "whole")), env=environment, check=True)
    results = [json.loads((tmp_path / name / "personal.json").read_text())["results"] for name in ("ana", "whole")]
    assert 7 <= len(before) < 20
    for name in ("before", "after"):
        assert results[0][name] == pytest.approx(results[1][name], abs=1e-3)
    assert results[0]["step"] == results[1]["step"]
