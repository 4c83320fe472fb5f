"""`diff2lip make-corpus`: what it prints and how it ends."""

from functools import partial

import pytest
from helpers.commands import run_command
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus import espeak


@pytest.fixture
def run(tmp_path, capfd, monkeypatch):
    """Runs a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_command, capfd, "make-corpus")


@needs_espeak
@pytest.mark.parametrize("option", ["--no-video", "--no-pictures"])
def test_speech_without_video(run, tmp_path, option):
    assert run("speech", "--clips", "1", option) == (0, ["speech: 1 clips"], [])
    names = {path.name for path in (tmp_path / "speech").iterdir()}
    assert names == {"corpus.json", "clip_00000.csv", "clip_00000.json", "clip_00000.wav"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("corpus",), 2, "--clips"),
        (("corpus", "--clips", "0"), 2, "a whole number above 0"),
        (("corpus", "--clips", "1", "--size", "97"), 1, "`size_px` is 97, expected an even number"),
        (("taken", "--clips", "1"), 1, "taken: holds something else; choose a new folder"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, code, words):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("all my work")
    ended, out, err = run(*arguments)
    assert (ended, out, len(err)) == (code, [], 1)
    assert words in err[0]


def test_a_missing_speech_synthesizer_is_said_with_the_cure(run, tmp_path, monkeypatch):
    def missing(*_):
        raise espeak.EspeakError(f"espeak-ng is not installed; {espeak.INSTALL}")

    monkeypatch.setattr("diff2lip_diffusers.corpus.make_corpus.check_espeak", missing)
    code, out, err = run("corpus", "--clips", "1")
    assert (code, out) == (1, [])
    assert err == ['diff2lip make-corpus: espeak-ng is not installed; pip install "diff2lip-diffusers[corpus]"']
    assert not (tmp_path / "corpus").exists()
