"""`diff2lip batch` and `diff2lip status`: what they print and how they end."""

import json
import os

import pytest
import torch
from helpers.batch_pairs import output_names, write_pairs
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers import BatchResult, cli
from diff2lip_diffusers.cli import batch


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    untrained_pipeline(sample_size=16).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(tmp_path, model, capfd, monkeypatch):
    """Runs a command in a folder with a list of three pairs; gives exit code, output and error lines."""
    write_pairs(tmp_path / "data", [5, 8, 6])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)

    def run(command, *arguments):
        known = {"batch": ["--output-dir", "out", "--model", model, "--steps", "1"], "status": []}
        try:
            code = cli.main([command, *arguments, *known[command]])
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


@pytest.fixture
def chosen(monkeypatch) -> dict:
    """What the command asks of `sync_batch`, which does nothing."""
    asked = {}

    def remember(pipe, pairs, output_dir, **arguments):
        asked.update(arguments)
        return BatchResult(0, 0, [])

    monkeypatch.setattr(batch, "sync_batch", remember)
    return asked


def test_a_batch_and_its_status(run, tmp_path):
    assert run("batch", "data/pairs.txt") == (0, ["out: 3 pairs done; see out/results.jsonl"], [])
    assert sorted(path.name for path in (tmp_path / "out").glob("*.mp4")) == output_names(3)
    code, out, err = run("status", "out")
    assert (code, err) == (0, [])
    assert out[0].startswith("out: 3 pairs: 3 done, 0 failed, 0 at work, 0 to do; ")


def test_some_failures_are_exit_code_3(run, tmp_path):
    (tmp_path / "data" / "speech" / "01.wav").write_bytes(b"RIFF")
    code, out, err = run("batch", "data/pairs.txt")
    failed = f"failed: {output_names(3)[1]}: data/speech/01.wav: "
    assert (code, out) == (3, ["out: 2 pairs done, 1 failed; see out/results.jsonl"])
    assert len(err) == 1 and err[0].startswith(failed)
    code, out, err = run("status", "out")
    assert code == 0 and out[0].startswith("out: 3 pairs: 2 done, 1 failed,") and err[0].startswith(failed)
    assert run("batch", "data/pairs.txt")[0] == 3
    write_pairs(tmp_path / "again", [5, 8, 6])
    (tmp_path / "again" / "speech" / "01.wav").replace(tmp_path / "data" / "speech" / "01.wav")
    assert run("batch", "data/pairs.txt", "--retry-failed")[0] == 0


def test_many_failures_are_cut_short(run, tmp_path, monkeypatch):
    failures = [{"output": f"{index}.mp4", "error": "no face found"} for index in range(9)]
    monkeypatch.setattr(batch, "sync_batch", lambda *_args, **_options: BatchResult(0, 9, failures))
    code, _, err = run("batch", "data/pairs.txt")
    assert code == 3
    assert err == [*(f"failed: {index}.mp4: no face found" for index in range(5)), "and 4 more failed"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("../a face/00\n", "line 1: `audio` '../a' leaves the root"),
        ("speech/00.wav face/00\nspeech/00.wav\n", "line 2: has 1 names"),
        ("speech/00.wav face/00\nspeech/00.wav face/00\n", "line 2: gives the same output"),
        ("", "has no pair"),
        ("none none\n", "all other pairs' files"),
    ],
)
def test_a_bad_list_is_one_line(run, tmp_path, lines, told):
    (tmp_path / "data" / "bad.txt").write_text(lines)
    code, out, err = run("batch", "data/bad.txt")
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("diff2lip batch: data/") and told in err[0]
    assert not (tmp_path / "out" / "results.jsonl").exists()


@pytest.mark.parametrize("arguments", [["--retries", "-1"], ["--preset", "vox"], ["--split", "x"], ["--threads", "0"]])
def test_wrong_usage(run, arguments):
    code, out, err = run("batch", "data/pairs.txt", *arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert arguments[0] in err[0]


@pytest.mark.parametrize("option", ["--dry-run", "--check"])
def test_a_dry_run_only_checks(run, tmp_path, option):
    assert run("batch", "data/pairs.txt", option) == (0, ["data/pairs.txt: 3 pairs, all files exist"], [])
    (tmp_path / "data" / "face" / "02.mp4").unlink()
    code, _, err = run("batch", "data/pairs.txt", option)
    assert code == 1
    assert err[0].startswith("diff2lip batch: data/pairs.txt: 1 of 3 pairs lack files; line 3: data/face/02.mp4: ")
    assert not (tmp_path / "out").exists()


def test_the_old_name_of_the_dry_run_is_hidden(run):
    code, out, _ = run("batch", "--help")
    assert code == 0 and "--dry-run" in "\n".join(out) and "--check" not in "\n".join(out)


def test_presets_are_the_papers_settings(run, chosen):
    run("batch", "data/pairs.txt", "--preset", "voxceleb2", "--mode", "reconstruction")
    assert chosen["reproduce"] and chosen["voxceleb2_crop"] and chosen["mode"] == "reconstruction"
    chosen.clear()
    run("batch", "data/pairs.txt", "--preset", "lrw")
    assert chosen["reproduce"] and "voxceleb2_crop" not in chosen


def test_each_process_samples_in_one_thread(run, chosen):
    before = torch.get_num_threads()
    try:
        run("batch", "data/pairs.txt", "--threads", "2")
        assert torch.get_num_threads() == 2
        run("batch", "data/pairs.txt")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_idle_cores_are_told(run, chosen, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert "--processes 8" in run("batch", "data/pairs.txt", "--device", "cpu")[2][0]
    assert run("batch", "data/pairs.txt", "--device", "cpu", "--threads", "8")[2] == []


def test_a_launchers_processes_start_no_others(run, chosen, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    code, out, err = run("batch", "data/pairs.txt", "--processes", "2")
    assert (code, out, len(err)) == (1, [], 1)
    assert "--processes 2 is for one machine with Linux or macOS, without a launcher" in err[0]


def test_a_folder_without_a_batch_has_no_status(run, tmp_path):
    code, out, err = run("status", "data")
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("diff2lip status: data: is not the folder of a batch")
    assert not (tmp_path / "data" / ".diff2lip").exists()


def test_names_of_options_in_a_list_are_those_of_python(run, tmp_path):
    (tmp_path / "data" / "own.jsonl").write_text(
        json.dumps({"video": "face/00.mp4", "audio": "speech/00.wav", "output": "a.mp4", "seed": 3}) + "\n"
    )
    assert run("batch", "data/own.jsonl")[0] == 0
    assert json.loads((tmp_path / "out" / "results.jsonl").read_text())["seed"] == 3
