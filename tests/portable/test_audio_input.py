"""What the feature extractor takes as audio: one recording or a batch; anything else is one clear line."""

import logging

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor

from diff2lip_diffusers import Diff2LipFeatureExtractor

SPEECH = np.random.default_rng(0).uniform(-1, 1, 16000).astype(np.float32)
OTHER = np.random.default_rng(1).uniform(-1, 1, 8000).astype(np.float32)


@pytest.fixture
def extractor() -> Diff2LipFeatureExtractor:
    return Diff2LipFeatureExtractor()


def test_a_missing_sampling_rate_is_said(extractor, caplog):
    with caplog.at_level(logging.WARNING):
        guessed = extractor(SPEECH).mel_windows
        assert "`sampling_rate` is missing: the audio is taken for one of 16000 Hz" in caplog.text
        caplog.clear()
        torch.testing.assert_close(extractor(SPEECH, 16000).mel_windows, guessed, rtol=0, atol=0)
        assert caplog.text == ""


def test_a_list_of_recordings_is_a_batch(extractor):
    batch = extractor([SPEECH, OTHER], 16000).mel_windows
    alone = [extractor(one, 16000).mel_windows for one in (SPEECH, OTHER)]
    assert batch.shape == (2, len(alone[0]), 80, 16)
    torch.testing.assert_close(batch[0], alone[0], rtol=0, atol=0)
    complete = len(alone[1])
    torch.testing.assert_close(batch[1, :complete], alone[1], rtol=0, atol=0)
    assert (batch[1, -1] == extractor.padding_value).all()  # silence beyond its end
    assert extractor([SPEECH], 16000, num_frames=3, return_tensors="np").mel_windows.shape == (1, 3, 80, 16)


def test_lists_of_numbers_are_recordings(extractor):
    expected = extractor(SPEECH, 16000).mel_windows
    torch.testing.assert_close(extractor(SPEECH.tolist(), 16000).mel_windows, expected, rtol=0, atol=1e-4)
    nested = extractor([SPEECH.tolist(), OTHER.tolist()], 16000).mel_windows
    torch.testing.assert_close(nested, extractor([SPEECH, OTHER], 16000).mel_windows, rtol=0, atol=1e-4)


def test_two_channels_are_an_array(extractor):
    stereo = np.stack([SPEECH, SPEECH])
    torch.testing.assert_close(
        extractor(stereo, 16000).mel_windows, extractor(SPEECH, 16000).mel_windows, rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_integers_are_full_scale(extractor, dtype):
    steps = -int(np.iinfo(dtype).min)
    quiet = (SPEECH * 0.5 * steps).astype(dtype)
    expected = extractor(quiet / np.float64(steps), 16000).mel_windows
    torch.testing.assert_close(extractor(quiet, 16000).mel_windows, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("audio", "arguments", "message"),
    [
        (SPEECH * 32768, {}, r"`audio` has values up to 3\d+(\.\d+)?, expected floats in \[-1, 1\]"),
        ((SPEECH * 32768).astype(int).tolist(), {}, "`audio` has values up to 3"),
        (np.zeros(8000, np.uint16), {}, "`audio` is of type uint16, expected floats"),
        (np.zeros(8000, np.int64), {}, "`audio` is of type int64, expected floats"),
        (np.zeros(8000, np.complex64), {}, "`audio` is of type complex64"),
        ("speech.wav", {}, "`audio` is of type"),
        ([[0.0, 0.1], [0.2, [0.3]]], {}, "`audio` is of type list"),
        ([SPEECH, np.zeros((2, 3, 4))], {}, "`audio` has shape"),
        (SPEECH, {"sampling_rate": 1}, "`sampling_rate` is 1, expected a whole number of Hz from 1000 to 768000"),
        (SPEECH, {"sampling_rate": 10**9}, "`sampling_rate` is 1000000000, expected"),
        (SPEECH, {"sampling_rate": "16000"}, "`sampling_rate` is '16000', expected"),
        (SPEECH, {"sampling_rate": float("inf")}, "`sampling_rate` is inf, expected"),
        (SPEECH, {"fps": "25"}, "`fps` is '25', expected"),
        (SPEECH, {"fps": 1e9}, "`fps` is 1000000000.0, expected"),
        (SPEECH, {"return_tensors": "tf"}, "`return_tensors` is 'tf'"),
    ],
)
def test_what_is_no_audio_is_said_in_one_line(extractor, audio, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        extractor(audio, **({"sampling_rate": 16000} | arguments))
    assert "\n" not in str(caught.value)


def test_transformers_finds_the_extractor_of_a_folder(extractor, tmp_path):
    Diff2LipFeatureExtractor(fps=30.0).save_pretrained(tmp_path)
    found = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(found) is Diff2LipFeatureExtractor
    assert found.fps == 30.0
