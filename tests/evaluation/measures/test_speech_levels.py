import wave
from fractions import Fraction

import numpy as np
import pytest

from diff2lip_diffusers.evaluation.measures.speech_levels import frame_levels, has_audio, say_the_same, silent_frames

FPS = Fraction(25)
RATE = 16000


def write(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", "NONE"))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def bursts(levels, seed=0):
    """Noise with one level a frame."""
    noise = np.random.default_rng(seed).uniform(-1, 1, len(levels) * 640)
    return np.repeat(levels, 640) * noise


def test_the_level_of_a_sine_is_3_db_below_its_peak(tmp_path):
    time_s = np.arange(RATE) / RATE
    levels = frame_levels(write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 200 * time_s)), FPS)
    assert levels == pytest.approx(np.full(25, 20 * np.log10(0.5) - 3.01), abs=0.02)


def test_pauses_end_where_lips_begin_to_move(tmp_path):
    levels = np.array([0.0] * 10 + [0.5] * 20 + [0.0] * 4 + [0.5] * 6 + [0.0] * 10)
    silent = silent_frames(write(tmp_path / "a.wav", bursts(levels)), FPS, 55)
    assert np.flatnonzero(silent).tolist() == [*range(7), *range(43, 55)]


def test_noise_under_loud_speech_is_no_silence(tmp_path):
    levels = np.array([0.05] * 10 + [0.5] * 20)
    assert not silent_frames(write(tmp_path / "a.wav", bursts(levels)), FPS, 30).any()


def test_silence_is_silent_throughout(tmp_path):
    assert silent_frames(write(tmp_path / "a.wav", np.zeros(RATE)), FPS, 25).all()


def test_the_same_speech_is_recognized_at_another_level_and_other_speech_is_not(tmp_path):
    levels = np.random.default_rng(1).uniform(0.01, 0.5, 60)
    same, other = bursts(levels), bursts(np.random.default_rng(2).uniform(0.01, 0.5, 60))
    paths = [write(tmp_path / name, samples) for name, samples in (("a", same), ("b", 0.5 * same), ("c", other))]
    assert say_the_same(paths[0], paths[1], FPS)
    assert not say_the_same(paths[0], paths[2], FPS)
    assert not say_the_same(paths[0], write(tmp_path / "d", np.zeros(RATE)), FPS)
    assert has_audio(paths[0])
    (tmp_path / "e").write_bytes(b"nonsense")
    assert not has_audio(tmp_path / "e")
