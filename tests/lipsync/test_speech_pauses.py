import numpy as np
import pytest
import torch

from diff2lip_diffusers import Diff2LipFeatureExtractor
from diff2lip_diffusers.lipsync.speech_pauses import rest_weights, silence_distances, step_levels

EXTRACTOR = Diff2LipFeatureExtractor()
RATE = EXTRACTOR.sampling_rate
STEPS_PER_S = RATE / EXTRACTOR.hop_length


def speech_with_pause(pause_s: float, noise_db: float) -> np.ndarray:
    """A second of loud noise, a pause with noise so many dB lower, and another second."""
    noise = np.random.default_rng(0).normal(0, 0.1, round((2 + pause_s) * RATE)).astype(np.float32)
    noise[RATE : RATE + round(pause_s * RATE)] *= 10 ** (noise_db / 20)
    return noise


def weights_of(pause_s: float, noise_db: float) -> np.ndarray:
    return rest_weights(EXTRACTOR.mel_spectrogram(speech_with_pause(pause_s, noise_db), RATE), STEPS_PER_S)


@pytest.mark.parametrize("noise_db", [-45.0, -80.0, -300.0])
def test_the_mouth_rests_inside_a_pause_and_moves_within_80_ms(noise_db):
    weights = weights_of(0.6, noise_db)
    times = np.arange(len(weights)) / STEPS_PER_S
    half_window_s = EXTRACTOR.n_fft / 2 / RATE
    speaking = (times < 1) | (times > 1.6)
    assert not weights[speaking].any()
    resting = (times > 1 + half_window_s + 0.08) & (times < 1.6 - half_window_s - 0.08)
    assert (weights[resting] == 1).all() and resting.sum() > 20
    assert np.abs(np.diff(weights)).max() <= 1 / (0.08 * STEPS_PER_S) + 1e-6


@pytest.mark.parametrize(("pause_s", "noise_db"), [(0.12, -300.0), (0.6, -20.0)])
def test_closures_within_words_and_quiet_words_are_no_pauses(pause_s, noise_db):
    assert not weights_of(pause_s, noise_db).any()


def test_a_level_is_that_of_the_sound_in_db():
    loud, quiet = (EXTRACTOR.mel_spectrogram(scale * speech_with_pause(0, 0), RATE) for scale in (1, 0.1))
    np.testing.assert_allclose(step_levels(loud) - step_levels(quiet), 20, atol=0.01)


def test_noise_that_is_embedded_as_silence_is_a_pause():
    mel = EXTRACTOR.mel_spectrogram(speech_with_pause(0.6, -20), RATE)
    times = np.arange(mel.shape[1]) / STEPS_PER_S
    pause = (times > 1.05) & (times < 1.55)
    for nearness, rests in ((0.1, True), (0.5, False)):
        weights = rest_weights(mel, STEPS_PER_S, np.where(pause, nearness, 1.0))
        assert (weights[(times > 1.15) & (times < 1.45)] == 1).all() == rests
        assert not weights[~pause].any()


def test_distances_are_those_of_the_encoder(small_pipe):
    mel = torch.as_tensor(EXTRACTOR.mel_spectrogram(speech_with_pause(0.6, -300), RATE))
    distances = silence_distances(small_pipe, mel)
    assert distances.shape == (mel.shape[1],) and distances[104] == pytest.approx(0, abs=1e-4)
    windows = torch.stack([mel[:, 32:48], torch.full((80, 16), float(EXTRACTOR.padding_value))])
    with torch.no_grad():
        spoken, silence = small_pipe.audio_encoder(windows)
    np.testing.assert_allclose(distances[40], float((spoken - silence).norm()), rtol=1e-4)
