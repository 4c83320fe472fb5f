"""`diff2lip make-corpus` and `pretrain-audio`: what they print and how they end."""

import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers import cli
from diff2lip_diffusers.corpus import espeak


@pytest.fixture
def run(tmp_path, capfd, monkeypatch):
    """Runs a command in an empty folder; gives exit code, output and error lines."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = cli.main(list(arguments))
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return code, said.out.splitlines(), said.err.splitlines()

    return run


@needs_espeak
def test_a_corpus_of_sound_teaches_an_audio_encoder(run, tmp_path):
    assert run("make-corpus", "speech", "--clips", "3", "--no-pictures") == (0, ["speech: 3 clips"], [])
    assert not list((tmp_path / "speech").glob("*.mp4"))
    (tmp_path / "audio.yaml").write_text(
        "{data: speech, output: audio, embed_dim: 32, input_channels: 8, block_out_channels: [8, 8, 8, 8],"
        " norm_num_groups: 4, max_train_steps: 2, train_batch_size: 4}"
    )
    code, out, err = run("pretrain-audio", "audio.yaml")
    assert (code, len(out), err) == (0, 2, [])
    assert out[0].startswith("step 2: loss ")
    assert out[1].startswith("audio: correlation with the truth on clips that were kept out: opening ")
    assert (tmp_path / "audio" / "diffusion_pytorch_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("make-corpus", "corpus"), 2, "--clips"),
        (("make-corpus", "corpus", "--clips", "0"), 2, "a whole number above 0"),
        (("make-corpus", "corpus", "--clips", "1", "--size", "97"), 1, "`size_px` is 97, expected an even number"),
        (("make-corpus", "taken", "--clips", "1"), 1, "taken: holds something else; choose a new folder"),
        (("pretrain-audio", "none.yaml"), 1, "none.yaml: "),
        (("pretrain-audio", "bad.yaml"), 1, "`stepz`"),
        (("pretrain-audio", "empty.yaml"), 1, "no such corpus folder; make one with: diff2lip make-corpus"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, code, words):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("all my work")
    (tmp_path / "bad.yaml").write_text("{data: corpus, output: audio, stepz: 3}")
    (tmp_path / "empty.yaml").write_text("{data: corpus, output: audio}")
    ended, out, err = run(*arguments)
    assert (ended, out, len(err)) == (code, [], 1)
    assert words in err[0]


def test_missing_speech_synthesiser_is_said_with_the_cure(run, tmp_path, monkeypatch):
    def missing(*_):
        raise espeak.EspeakError("espeak-ng is not installed; apt install espeak-ng")

    monkeypatch.setattr("diff2lip_diffusers.corpus.make_corpus.check_espeak", missing)
    code, out, err = run("make-corpus", "corpus", "--clips", "1")
    assert (code, out) == (1, [])
    assert err == ["diff2lip make-corpus: espeak-ng is not installed; apt install espeak-ng"]
    assert not (tmp_path / "corpus").exists()
