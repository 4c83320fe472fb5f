"""`--progress json`: what another program reads while a job runs, and when it fails."""

import json

import pytest
from helpers.commands import run_command
from helpers.face_videos import WOMAN, write_speech, write_video
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.cli.progress_lines import ProgressLines


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("progress")
    untrained_pipeline(sample_size=16).save_pretrained(folder / "model")
    write_video(folder / "face.mp4", [WOMAN] * 4)
    write_speech(folder / "speech.wav", 0.4)
    return folder


def events(capfd, folder, *more: str) -> tuple[int, list[dict], list[str]]:
    paths = {"model": "model", "video": "face.mp4", "audio": "speech.wav", "output": "out.mp4"}
    named = [part for name, file in paths.items() for part in (f"--{name}", str(folder / file))]
    settings = ["--steps", "1", "--device", "cpu", "--dtype", "fp32", "--box", "64,72,164,204"]
    code, lines, errors = run_command(capfd, "sync", *named, *settings, "--progress", "json", *more)
    return code, [json.loads(line) for line in lines], errors


def test_a_job_tells_its_stages_frames_and_result(capfd, folder):
    code, told, errors = events(capfd, folder)
    assert (code, errors) == (0, [])
    assert [each["stage"] for each in told if each["event"] == "stage"] == ["check", "load", "sync"]
    frames = [(each["done"], each["expected"]) for each in told if each["event"] == "progress"]
    assert frames[-1] == (4, 4) and frames == sorted(frames)
    assert told[-1] == {
        "event": "result",
        "output": str(folder / "out.mp4"),
        "num_frames": 4,
        "num_faceless_frames": 0,
        "fps": "25",
        "duration_s": 0.16,
        "speech_s": 0.4,
    }


def test_an_error_is_an_event_and_a_line(capfd, folder):
    code, told, errors = events(capfd, folder, "--audio", str(folder / "missing.wav"))
    assert code == 1 and len(errors) == 1
    assert told[0] == {"event": "stage", "stage": "check"}
    assert told[-1]["event"] == "error" and told[-1]["kind"] == "MediaError"
    assert told[-1]["message"] in errors[0] and len(told) == 2


def test_few_lines_a_second_and_the_time_left(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("diff2lip_diffusers.cli.progress_lines.time.monotonic", lambda: clock[0])
    lines = ProgressLines(True)
    for done in range(1, 101):
        clock[0] = done / 50
        lines.frames(done, 100)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert 8 <= len(told) <= 12 and told[-1]["done"] == 100 and told[-1]["left_s"] == 0
    middle = told[len(told) // 2]
    assert middle["left_s"] == pytest.approx((100 - middle["done"]) / 50, abs=0.06)
