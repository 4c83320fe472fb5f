"""`diff2lip pretrain-audio`: what it prints and how it ends."""

from functools import partial

import pytest
from helpers.commands import run_command
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus.make_corpus import CorpusSettings, make_corpus


@pytest.fixture
def run(tmp_path, capfd, monkeypatch):
    """Runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(run_command, capfd, "pretrain-audio")


@needs_espeak
def test_a_corpus_without_video_trains_an_audio_encoder(run, tmp_path):
    make_corpus(tmp_path / "speech", 3, CorpusSettings(video=False))
    (tmp_path / "audio.yaml").write_text(
        "{data: speech, output: audio, embed_dim: 32, input_channels: 8, block_out_channels: [8, 8, 8, 8],"
        " norm_num_groups: 4, max_train_steps: 2, train_batch_size: 4}"
    )
    code, out, err = run("audio.yaml")
    assert (code, len(out), err) == (0, 2, [])
    assert out[0].startswith("step 2: loss ")
    assert out[1].startswith("audio: correlation with the truth on held-out clips: opening ")
    assert (tmp_path / "audio" / "diffusion_pytorch_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("none.yaml", "none.yaml: "),
        ("bad.yaml", "`stepz`"),
        ("empty.yaml", "no such corpus folder; make one with: diff2lip make-corpus"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, config, words):
    (tmp_path / "bad.yaml").write_text("{data: corpus, output: audio, stepz: 3}")
    (tmp_path / "empty.yaml").write_text("{data: corpus, output: audio}")
    code, out, err = run(config)
    assert (code, out, len(err)) == (1, [], 1)
    assert words in err[0]
