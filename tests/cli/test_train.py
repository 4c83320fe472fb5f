"""`diff2lip train` and `diff2lip export`: what they print and how they end."""

import json

import pytest
import yaml
from helpers.training_sets import SETTINGS, write_training_set

from diff2lip_diffusers import cli
from diff2lip_diffusers.original_checkpoint import load_original_checkpoint


@pytest.fixture
def run(tmp_path, capfd, monkeypatch):
    """Runs a command in a folder with a training set and its settings; gives exit code, output and error lines."""
    monkeypatch.chdir(tmp_path)
    write_training_set(tmp_path / "set")
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(SETTINGS | {"data": "set", "output": "run"}))

    def run(*arguments):
        try:
            code = cli.main(list(arguments))
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


def test_training_logs_its_steps_goes_on_and_exports(run, tmp_path):
    code, out, err = run("train", "run.yaml", "--set", "max_train_steps=3", "--log-every", "2")
    assert (code, out) == (0, ["run: 3 steps done; see run/model"])
    assert [line.partition(":")[0] for line in err] == ["step 2", "step 3"]
    assert run("train", "run.yaml", "--log-every", "2")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 4]
    assert {"total", "epsilon", "x0", "variance", "learning_rate", "grad_norm", "seconds"} <= lines[0].keys()
    code, out, err = run("export", "run/model", "model.pt")
    assert (code, len(out), err) == (0, 1, [])
    assert "input_blocks.0.0.weight" in load_original_checkpoint(tmp_path / "model.pt")


def test_lora_goes_on_from_a_model(run, tmp_path):
    assert run("train", "run.yaml", "--set", "max_train_steps=1")[0] == 0
    options = ("--set", "output=tuned", "--set", "lora.rank=2", "--set", "model=null", "--set", "max_train_steps=1")
    code, out, _ = run("train", "run.yaml", "--init-from", "run/model", *options)
    assert (code, out) == (0, ["tuned: 1 steps done; see tuned/lora"])
    weights = tmp_path / "tuned" / "lora" / "pytorch_lora_weights.safetensors"
    assert 0 < weights.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.yaml",), "none.yaml: cannot be read (No such file or directory)"),
        (("run.yaml", "--set", "steps=3"), "`steps` is now `max_train_steps`"),
        (("run.yaml", "--set", "data=."), ".: has no settings.json; make a training set with: diff2lip prepare"),
        (("run.yaml", "--set", "size_px=15"), "`size_px` is 15, expected a multiple of 2"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    code, out, err = run("train", *arguments)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith("diff2lip train: ") and message in err[0]
