import argparse

import pytest
from helpers.prepare_films import write_talk

from diff2lip_diffusers.cli.prepare import add_prepare
from diff2lip_diffusers.errors import Diff2LipError


@pytest.fixture
def run():
    parser = argparse.ArgumentParser()
    add_prepare(parser.add_subparsers(dest="command"))

    def call(*arguments) -> int:
        args = parser.parse_args(["prepare", *map(str, arguments)])
        return args.run(args)

    return call


def test_a_set_from_the_command_line(tmp_path, run, capsys):
    film = write_talk(tmp_path / "talk.mp4", 12)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    options = [
        "--size",
        "32",
        "--min-seconds",
        "0.4",
        "--max-seconds",
        "5",
        "--min-face-px",
        "50",
        "--identity",
        "folder",
    ]
    options += ["--min-sharpness", "0", "--pads", "0,4,0,0", "--detection-stride", "2"]
    assert run(film, tmp_path / "broken.mp4", tmp_path / "set", *options) == 0
    out = capsys.readouterr().out
    page = tmp_path / "set" / "report.html"
    assert out == f"{tmp_path}/set: 1 clip of 0 s from 2 videos; dropped: 1 unreadable; see {page}\n"
    assert tmp_path.name in (tmp_path / "set" / "index.jsonl").read_text()


def test_nothing_kept_is_one_line(tmp_path, run):
    film = write_talk(tmp_path / "talk.mp4", 3, speech=None)
    with pytest.raises(
        Diff2LipError, match="^[^\n]*set: no clip of 1 video was kept; dropped: 1 no sound; see [^\n]*$"
    ):
        run(film, tmp_path / "set", "--size", "32")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--size", "8"], "'8' is not a whole number of pixels, at least 16"),
        (["--workers", "0"], "'0' is not a whole number above 0"),
        (["--min-seconds", "x"], "'x' is not a number of seconds"),
        (["--identity", "face"], "invalid choice: 'face'"),
        (["--min-confidence", "-2"], "'-2' is not a number, at least 0"),
    ],
)
def test_wrong_arguments(tmp_path, run, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run(tmp_path, tmp_path / "set", *arguments)
    assert message in capsys.readouterr().err


def test_options_that_contradict_each_other(tmp_path, run):
    with pytest.raises(ValueError, match="`min_lse_c` is 0.5, which needs a `syncnet`"):
        run(tmp_path, tmp_path / "set", "--min-confidence", "0.5")
