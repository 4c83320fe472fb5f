"""The command `diff2lip evaluate`: what it says about bad input, missing and damaged clips, and limits."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run_command
from helpers.face_videos import WOMAN, write_video
from helpers.judged_clips import JudgedClips, write_judged_clips

COUNT = 11


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> JudgedClips:
    return write_judged_clips(tmp_path_factory.mktemp("clips"), 2)


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory) -> Path:
    """Shared, so that what is measured once is not measured again."""
    return tmp_path_factory.mktemp("reports") / "report"


@pytest.fixture
def damaged(tmp_path) -> JudgedClips:
    """Eleven clips: 3 are missing, 1 is shorter, 1 is damaged, 1 has no face."""
    clips = write_judged_clips(tmp_path / "clips", COUNT)
    for name in ("03", "04"):
        (clips.sharp / f"{name}.mp4").unlink()
    (clips.blurred / "05.mp4").unlink()
    write_video(clips.sharp / "06.mp4", [WOMAN] * 7)
    (clips.blurred / "07.mp4").write_bytes((clips.blurred / "08.mp4").read_bytes()[:900])
    wall = [np.full_like(WOMAN, 90)] * 12
    (clips.reference / "09.boxes.jsonl").unlink()
    for place in (clips.reference, clips.sharp, clips.blurred):
        write_video(place / "09.mp4", wall)
    return clips


def test_each_problem_is_named(damaged, tmp_path, capfd):
    code, _, errors = run_command(
        capfd, "evaluate", f"--output={tmp_path / 'report'}", "--clips-shown=0", *damaged.arguments()
    )
    assert code == 0
    expected = {
        ("03", "sharp"): "no video of this name",
        ("04", "sharp"): "no video of this name",
        ("05", "blurred"): "no video of this name",
        ("06", "sharp"): "another length: 7 frames against 12",
        ("07", "blurred"): str(damaged.blurred / "07.mp4"),
        ("09", "sharp"): "no face was found",
        ("09", "blurred"): "no face was found",
    }
    problems = json.loads((tmp_path / "report" / "report.json").read_text())["problems"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert {(problem["clip"], problem["system"]) for problem in problems} == expected.keys()
    for (clip, system), reason in expected.items():
        assert any(line.startswith(f"{clip}: {system}: ") and reason in line for line in errors)
        assert reason in page


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--measures=beauty"], 1, "`measures` has 'beauty'"),
        (["--fail-below=beauty=1"], 2, "'beauty' is no measure"),
        (["--system=sharp"], 2, "'sharp' is not NAME=PATH"),
        (["--system=sharp=elsewhere"], 1, "--system names 'sharp' twice"),
        (["--system=c=missing"], 1, "missing: no such file or folder"),
        (["--system=c=EMPTY"], 1, "holds no file that ends in"),
        (["--reference=EMPTY"], 1, "holds no file that ends in"),
        (["--syncnet=OTHER", "--measures=lse"], 1, "OTHER"),
        (["--own-syncnet=EMPTY", "--measures=own_sync"], 1, "EMPTY"),
        (["--landmarks=nose", "--measures=mouth"], 1, "`landmarks` is 'nose'"),
        (["--truth=EMPTY", "--measures=mouth"], 1, "has no table of true mouths"),
        (["--lpips=OTHER", "--measures=lpips"], 1, "OTHER: "),
        (["--inception=OTHER", "--measures=fid"], 1, "OTHER: "),
        (["--i3d=OTHER", "--measures=fvd"], 1, "OTHER: "),
        (["--workers=0"], 1, "`workers` is 0"),
        (["--clips-shown=-1"], 1, "`num_clips_shown` is -1"),
        (["--detector=none"], 1, "detector"),
        (["--device=moon"], 1, "`device` is 'moon'"),
    ],
)
def test_bad_input_ends_in_one_line(judged, tmp_path, capfd, arguments, code, words):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "OTHER").write_bytes(b"no weights")
    places = [
        text.replace("EMPTY", str(tmp_path / "EMPTY")).replace("OTHER", str(tmp_path / "OTHER")) for text in arguments
    ]
    command = ["evaluate", f"--output={tmp_path / 'report'}", *judged.arguments(), *places]
    found, _, errors = run_command(capfd, *command)
    assert (found, len(errors)) == (code, 1)
    assert words in errors[0] and errors[0].startswith("diff2lip evaluate: ")


def test_nothing_to_judge(tmp_path, capfd):
    code, _, errors = run_command(capfd, "evaluate", f"--output={tmp_path / 'report'}")
    assert (code, errors) == (1, ["diff2lip evaluate: nothing to judge; name RESULTS, or --system NAME=PATH"])


def test_no_audio_is_one_line_for_all_clips(tmp_path, capfd):
    (tmp_path / "mute").mkdir()
    for name in ("a", "b"):
        write_video(tmp_path / "mute" / f"{name}.mp4", [WOMAN] * 12)
    arguments = [str(tmp_path / "mute"), "--measures=own_sync", "--own-syncnet=drawn"]
    code, _, errors = run_command(capfd, "evaluate", f"--output={tmp_path / 'report'}", *arguments)
    assert code == 0 and sum("has no audio stream" in line for line in errors) == len(errors) == 2


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [
        ("--fail-below=laplacian_ratio=0.01", 0, None),
        ("--fail-below=laplacian_ratio=0.9", 4, "blurred: laplacian_ratio is"),
        ("--fail-above=psnr=99", 4, "sharp: psnr is 100, above the limit 99"),
        ("--fail-below=lse_c=6", 4, "sharp: lse_c was not measured"),
    ],
)
def test_limits(judged, report_folder, capfd, limit, code, words):
    command = ["evaluate", f"--output={report_folder}", *judged.arguments(), "--clips-shown=0", limit]
    found, lines, errors = run_command(capfd, *command)
    assert found == code
    assert lines[-1] == f"{report_folder / 'index.html'}: the report"
    assert words is None or errors[0].startswith(words)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: path.read_bytes() for path in files if (name := path.relative_to(folder).as_posix())[0] != "."}


@pytest.mark.slow
def test_killed_twice_the_report_is_the_same(tmp_path):
    clips = write_judged_clips(tmp_path / "clips", 8)
    command = [sys.executable, "-m", "diff2lip_diffusers", "evaluate", *clips.arguments(), "--output"]
    subprocess.run([*command, str(tmp_path / "whole"), "--workers=2"], check=True, capture_output=True)
    state = tmp_path / "killed" / ".evaluate"
    for count in (2, 5):
        process = subprocess.Popen(
            [*command, str(tmp_path / "killed")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while len(list(state.glob("*.json"))) < count:
            time.sleep(0.02)
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "killed" / "index.html").exists()
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_another_folder_is_measured_anew_and_its_report_replaces_the_old_one(judged, tmp_path, capfd):
    report = tmp_path / "report"
    assert run_command(capfd, "evaluate", f"--output={report}", *judged.arguments())[0] == 0
    shutil.copytree(judged.sharp, tmp_path / "copy")
    command = ["evaluate", str(tmp_path / "copy"), f"--output={report}", f"--reference={judged.reference}"]
    assert run_command(capfd, *command, "--measures=psnr")[0] == 0
    assert [system["name"] for system in json.loads((report / "report.json").read_text())["systems"]] == ["result"]
    assert not (report / "figures" / "laplacian_ratio.svg").exists()
