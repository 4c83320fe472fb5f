"""The options of the model on the command line: its scheduler's and its adapters."""

import argparse

import pytest
from helpers.commands import run_command
from helpers.untrained import untrained_pipeline

from diff2lip_diffusers.cli.options import add_model, load_model
from diff2lip_diffusers.training.lora import LoraSettings, add_lora, save_lora


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    untrained_pipeline(16).save_pretrained(folder)
    return folder


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_model(parser)
    return parser.parse_args(["--model", "m", *arguments])


def test_values_of_scheduler_options_are_truths_numbers_or_words():
    given = ["a=true", "b=False", "c=3", "d=0.5", "e=trailing", "f=x=y", "g=null"]
    args = parse(*(part for option in given for part in ("--scheduler-option", option)))
    expected = {"a": True, "b": False, "c": 3, "d": 0.5, "e": "trailing", "f": "x=y", "g": None}
    assert dict(args.scheduler_options) == expected


def test_adapters_have_a_scale_behind_the_last_colon():
    args = parse("--lora", "anna", "--lora", "you/ben:0.5", "--lora", "C:\\run", "--lora", "run:2:-1")
    assert args.lora == [("anna", 1.0), ("you/ben", 0.5), ("C:\\run", 1.0), ("run:2", -1.0)]


@pytest.mark.parametrize(
    "arguments",
    [("--lora", "anna:nan"), ("--lora", ":2"), ("--scheduler-option", "karras"), ("--scheduler-option", "=1")],
)
def test_bad_forms_are_wrong_commands(capfd, arguments):
    code, _, errors = run_command(capfd, "batch", "list.csv", "--output-dir", "o", "--model", "m", *arguments)
    assert code == 2 and len(errors) == 1 and repr(arguments[1]) in errors[0]


def test_both_arrive_in_the_pipeline(model, tmp_path):
    tuned = untrained_pipeline(16)
    add_lora(tuned.unet, LoraSettings(target_modules=("conv_out",)), seed=0)
    tuned.unet.conv_out.lora_B["default"].weight.data.fill_(0.1)
    save_lora(tuned.unet, tmp_path / "lora")
    args = parse("--scheduler", "euler", "--scheduler-option", "timestep_spacing=trailing", "--lora", str(tmp_path))
    args.model = model
    pipe = load_model(args, "cpu", "fp32")
    assert (type(pipe.scheduler).__name__, pipe.scheduler.config.timestep_spacing) == (
        "EulerDiscreteScheduler",
        "trailing",
    )
    weight = untrained_pipeline(16).unet.conv_out.weight
    assert (pipe.unet.conv_out.weight - weight).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scheduler-option", "magic=1"), "a DPMSolverMultistepScheduler has no option `magic`"),
        (("--scheduler", "euler", "--scheduler-option", "beta_end=1"), "`beta_end` is fixed by the training"),
        (("--lora", "nowhere/at/all"), "nowhere/at/all: cannot be added as a LoRA"),
    ],
)
def test_bad_values_are_one_line(model, tmp_path, capfd, arguments, said):
    (tmp_path / "list.csv").write_text("audio,video,output\na.wav,v.mp4,o.mp4\n")
    for name in ("a.wav", "v.mp4"):
        (tmp_path / name).write_bytes(b"-")
    code, _, errors = run_command(
        capfd, "batch", str(tmp_path / "list.csv"), "--output-dir", str(tmp_path / "out"), "--model", str(model),
        "--device", "cpu", "--dtype", "fp32", *arguments,
    )  # fmt: skip
    assert code == 1 and said in errors[-1] and not (tmp_path / "out").exists()
