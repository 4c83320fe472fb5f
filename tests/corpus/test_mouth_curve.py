import numpy as np
import pytest
from helpers.corpus_speech import utterance_of

from diff2lip_diffusers import Diff2LipFeatureExtractor
from diff2lip_diffusers.corpus.mouth_curve import CLOSED, GRID_HZ, LEAD_S, LOUDEST, QUIETEST, REACH_S, mouth_curve
from diff2lip_diffusers.corpus.visemes import PARAMETERS, SILENCE, VISEMES

OPENING, WIDTH, JAW = (PARAMETERS.index(name) for name in ("opening", "width", "jaw"))
TIMES_S = np.arange(-0.5, 3, 0.005)


def raised_cosine_step(times_s):
    """The integral of the kernel, 0 to 1 around 0."""
    x = np.clip(times_s / REACH_S, -1, 1)
    return 0.5 * (1 + x + np.sin(np.pi * x) / np.pi)


def test_a_change_between_equals_follows_the_kernel_ahead_of_the_sound():
    assert VISEMES["i"].dominance == VISEMES["a"].dominance
    curve = mouth_curve(utterance_of([("i", 1.0), ("a", 1.0)]), TIMES_S)
    middle = (TIMES_S > 0.3) & (TIMES_S < 1.5)
    expected = VISEMES["i"].target[WIDTH] + (
        VISEMES["a"].target[WIDTH] - VISEMES["i"].target[WIDTH]
    ) * raised_cosine_step(TIMES_S - 1.0 + LEAD_S)
    half_a_sample = (expected.max() - expected.min()) / REACH_S * 0.5 / GRID_HZ
    np.testing.assert_allclose(curve[middle, WIDTH], expected[middle], atol=1.05 * half_a_sample)


def test_a_long_loud_vowel_reaches_its_target():
    curve = mouth_curve(utterance_of([("e", 1.0)]), np.array([0.5]))
    opening, jaw = VISEMES["e"].target[OPENING], VISEMES["e"].target[JAW]
    assert curve[0, OPENING] == pytest.approx((opening * LOUDEST - CLOSED) / (1 - CLOSED), abs=1e-4)
    assert curve[0, JAW] == pytest.approx(jaw * LOUDEST, abs=1e-4)
    assert curve[0, WIDTH] == pytest.approx(VISEMES["e"].target[WIDTH], abs=1e-6)


def test_louder_is_wider():
    samples = np.repeat(np.float32([0.05, 0.5]), 8000)
    quiet, loud = mouth_curve(utterance_of([("a", 2.0)], samples), np.array([0.5, 1.4]))
    assert quiet[OPENING] < 0.75 * loud[OPENING]
    assert quiet[OPENING] > VISEMES["a"].target[OPENING] * QUIETEST - CLOSED


@pytest.mark.parametrize("symbol", "pbm")
@pytest.mark.parametrize("vowel", "aɔi")
def test_a_short_bilabial_closes_the_lips(symbol, vowel):
    curve = mouth_curve(utterance_of([(vowel, 0.2), (symbol, 0.06), (vowel, 0.2)]), TIMES_S)
    spoken = (TIMES_S > 0.1) & (TIMES_S < 0.35)
    assert curve[spoken, OPENING].min() == 0
    closed_at_s = TIMES_S[spoken][curve[spoken, OPENING] == 0].mean()
    assert closed_at_s == pytest.approx(0.23 - LEAD_S, abs=0.01)


def test_the_mouth_rests_before_after_and_in_pauses():
    curve = mouth_curve(utterance_of([("a", 0.5), ("", 0.5), ("o", 0.5)]), np.array([-10, -0.2, 0.75, 1.7, 10]))
    np.testing.assert_allclose(curve[:, OPENING], 0)
    np.testing.assert_allclose(curve[:, WIDTH], SILENCE.target[WIDTH], atol=1e-6)


def test_silent_samples_give_a_resting_mouth():
    curve = mouth_curve(utterance_of([("", 1.0)], np.zeros(8000, np.float32)), TIMES_S)
    np.testing.assert_allclose(curve, np.tile(curve[0], (len(curve), 1)), atol=1e-6)


def test_a_moment_depends_only_on_the_sound_that_the_network_hears_for_it():
    """The window of frame n begins 40 ms before the frame and lasts 16 steps of 12.5 ms."""
    features = Diff2LipFeatureExtractor()
    frame_s, step_s = 1 / features.fps, features.hop_length / features.sampling_rate
    before_s, after_s = frame_s, features.window_size * step_s - frame_s
    rng = np.random.default_rng(0)
    moment_s = 1.0
    sounds = [str(sound) for sound in rng.choice(list("pabimtusof"), 40)]
    times_s = np.arange(41) * 0.05
    inside = (times_s[1:] > moment_s - before_s) & (times_s[:-1] < moment_s + after_s)
    others = [sound if heard else str(rng.choice(list("aiu"))) for sound, heard in zip(sounds, inside, strict=True)]
    first, second = (
        mouth_curve(utterance_of([(sound, 0.05) for sound in said]), np.array([moment_s])) for said in (sounds, others)
    )
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert sounds != others


def test_lips_do_not_jitter():
    """Hardly any power above 8 Hz, however fast the phonemes follow each other."""
    rng = np.random.default_rng(0)
    sounds = [(str(sound), rng.uniform(0.05, 0.12)) for sound in rng.choice(list("pabimtusof"), 100)]
    opening = mouth_curve(utterance_of(sounds), np.arange(0, 7, 0.005))[:, OPENING]
    power = np.abs(np.fft.rfft((opening - opening.mean()) * np.hanning(len(opening)))) ** 2
    assert power[np.fft.rfftfreq(len(opening), 0.005) > 8].sum() < 0.1 * power.sum()


def test_the_curve_is_six_numbers_from_0_to_1():
    sounds = [(symbol, 0.08) for symbol in ["p", "a", "f", "aɪ", "v", "ʃ", "uː", "z", "ɑː"]]
    curve = mouth_curve(utterance_of(sounds), TIMES_S)
    assert curve.shape == (len(TIMES_S), 6) and curve.dtype == np.float32
    assert curve.min() >= 0 and curve.max() <= 1 and np.ptp(curve[:, OPENING]) > 0.9
