"""The audio encoder learns the mouths of a corpus from its sound."""

import json
import wave

import numpy as np
import pytest
import torch

from diff2lip_diffusers.corpus.mouth_table import write_mouth_table
from diff2lip_diffusers.errors import Diff2LipError
from diff2lip_diffusers.portable.audio_encoder_diff2lip import Diff2LipAudioEncoder
from diff2lip_diffusers.training.audio_pretraining import (
    AudioPretrainingConfig,
    pretrain_audio_encoder,
)
from diff2lip_diffusers.training.mouth_lessons import RIDGE, AlignedMouthLesson, MouthReader

SMALL = {"embed_dim": 32, "input_channels": 16, "block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Hissing that comes and goes, and mouths that open with it: loud is open."""
    folder = tmp_path_factory.mktemp("hissing")
    (folder / "corpus.json").write_text(json.dumps({"version": 1, "fps": 25}))
    for number in range(6):
        rng = np.random.default_rng(number)
        loudness = np.repeat(rng.integers(0, 2, 10), 3200).astype(np.float32)
        with wave.open(str(folder / f"clip_{number:05d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(
                (3000 * loudness * rng.standard_normal(32000)).clip(-32768, 32767).astype("<i2").tobytes()
            )
        mouth = np.tile(loudness[640 * np.arange(50)][:, None], (1, 6))
        mouth[:, 1:] = rng.random((50, 5))
        write_mouth_table(folder / f"clip_{number:05d}.csv", 25, mouth)
        (folder / f"clip_{number:05d}.json").write_text("{}")
    return folder


def test_learns_what_can_be_heard_and_nothing_else(corpus, tmp_path):
    config = AudioPretrainingConfig(
        str(corpus), str(tmp_path / "audio"), max_train_steps=60, train_batch_size=32, held_out_fraction=0.2, **SMALL
    )
    records = list(pretrain_audio_encoder(config, measure_every=30))
    assert [record.step for record in records] == list(range(1, 61))
    assert [record.step for record in records if record.correlations] == [30, 60]
    assert records[-1].correlations["opening"] > 0.8
    assert abs(records[-1].correlations["width"]) < 0.5
    saved = Diff2LipAudioEncoder.from_pretrained(tmp_path / "audio")
    assert (saved.config.embed_dim, saved.config.norm_num_groups) == (32, 4)


def test_goes_on_from_an_encoder_with_its_sizes_and_hears_several_corpora(corpus, tmp_path):
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    losses = [
        [record.loss for record in pretrain_audio_encoder(AudioPretrainingConfig(data, output, **settings))]
        for data, output, settings in (
            (str(corpus), first, {"max_train_steps": 60, "train_batch_size": 32, **SMALL}),
            ((str(corpus), str(corpus)), second, {"max_train_steps": 2, "learning_rate": 1e-6, "init_from": first}),
        )
    ]
    before, after = (Diff2LipAudioEncoder.from_pretrained(folder) for folder in (first, second))
    assert dict(before.config)["block_out_channels"] == dict(after.config)["block_out_channels"] == [8, 8, 8, 8]
    for name, weight in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], weight, rtol=0, atol=1e-4)
    assert len(losses[1]) == 2
    with pytest.raises(Diff2LipError, match="nowhere: has no config.json"):
        next(pretrain_audio_encoder(AudioPretrainingConfig(str(corpus), second, init_from="nowhere")))


def test_is_repeatable(corpus, tmp_path):
    config = AudioPretrainingConfig(
        str(corpus), str(tmp_path / "audio"), max_train_steps=2, train_batch_size=8, **SMALL
    )
    first, second = ([record.loss for record in pretrain_audio_encoder(config)] for _ in range(2))
    assert first == second


def test_the_reader_is_silu_and_a_linear_layer():
    reader, embeds = MouthReader(8), torch.randn(3, 8)
    by_hand = (embeds / (1 + torch.exp(-embeds))) @ reader.linear.weight.T + reader.linear.bias
    torch.testing.assert_close(reader(embeds), by_hand)


def test_values_are_checked():
    with pytest.raises(ValueError, match="`max_train_steps` is 0, expected a number above 0"):
        AudioPretrainingConfig("corpus", "out", max_train_steps=0)
    with pytest.raises(ValueError, match="`held_out_fraction` is 1, expected a number between 0 and 1"):
        AudioPretrainingConfig("corpus", "out", held_out_fraction=1)
    with pytest.raises(ValueError, match="`frequency_warp` is 0.5, expected a number from 0 to below 0.5"):
        AudioPretrainingConfig("corpus", "out", frequency_warp=0.5)
    with pytest.raises(ValueError, match="`data` is empty"):
        AudioPretrainingConfig((), "out")


def test_an_encoder_of_other_sizes_can_take_the_place_of_one_that_a_u_net_knows(corpus, tmp_path):
    known = str(tmp_path / "known")
    settings = {"max_train_steps": 60, "train_batch_size": 32}
    list(pretrain_audio_encoder(AudioPretrainingConfig(str(corpus), known, **settings, **SMALL)))
    wider = SMALL | {"block_out_channels": (8, 8, 16, 16)}
    fitting, free = str(tmp_path / "fitting"), str(tmp_path / "free")
    config = AudioPretrainingConfig(
        str(corpus),
        fitting,
        embeddings_of=known,
        max_train_steps=120,
        train_batch_size=32,
        learning_rate=3e-3,
        **wider,
    )
    last = list(pretrain_audio_encoder(config))[-1]
    assert last.correlations["opening"] > 0.8
    list(pretrain_audio_encoder(AudioPretrainingConfig(str(corpus), free, **settings, **wider)))
    windows = torch.randn(64, 80, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        old, new, other = (Diff2LipAudioEncoder.from_pretrained(folder)(windows) for folder in (known, fitting, free))
    assert (new - old).square().mean() < 0.5 * (other - old).square().mean()
    with pytest.raises(ValueError, match="`embeddings_of` has embeddings of 32 numbers, expected 64"):
        bad = SMALL | {"embed_dim": 64}
        next(pretrain_audio_encoder(AudioPretrainingConfig(str(corpus), free, embeddings_of=known, **bad)))


def test_the_fixed_reader_is_the_least_squares_fit(corpus):
    torch.manual_seed(0)
    encoder = Diff2LipAudioEncoder(**SMALL)
    windows, mouths = torch.randn(200, 80, 16), torch.rand(200, 6)
    lesson = AlignedMouthLesson(encoder, windows, mouths, seed=0)
    with torch.no_grad():
        features = torch.nn.functional.silu(encoder(windows))
        read = lesson.mouth_reader(encoder(windows))
    # Ridge regression is least squares with one more row for each coefficient.
    inputs = np.r_[np.c_[features.double().numpy(), np.ones(200)], np.sqrt(RIDGE) * np.eye(33)]
    theirs = np.linalg.lstsq(inputs, np.r_[mouths.double().numpy(), np.zeros((33, 6))], rcond=None)[0]
    np.testing.assert_allclose(read.numpy(), inputs[:200] @ theirs, atol=1e-4)
