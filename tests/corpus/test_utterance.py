import numpy as np
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus.utterance import DURATIONS_S, SILENCES_S, draw_utterance
from diff2lip_diffusers.corpus.visemes import PARAMETERS

SEEDS = range(4)


@pytest.fixture(scope="module")
def clips():
    return [draw_utterance(seed, "train") for seed in SEEDS]


@needs_espeak
def test_a_seed_always_speaks_alike(clips):
    again = draw_utterance(1, "train")
    np.testing.assert_array_equal(again.samples, clips[1].samples)
    assert (again.text, again.voice, again.utterance.phonemes) == (
        clips[1].text, clips[1].voice, clips[1].utterance.phonemes
    )  # fmt: skip
    assert not np.array_equal(clips[1].samples, clips[2].samples)


@needs_espeak
def test_splits_speak_differently(clips):
    test = draw_utterance(1, "test")
    assert test.text != clips[1].text and test.voice.variant != clips[1].voice.variant


@needs_espeak
def test_clips_are_as_long_as_wanted_at_16_khz(clips):
    for clip in clips:
        assert clip.sampling_rate == 16000 and clip.samples.dtype == np.float32
        assert DURATIONS_S[0] <= clip.duration_s <= DURATIONS_S[1] + 0.001
        assert np.abs(clip.samples).max() <= 1
        silence_s = clip.duration_s - clip.utterance.duration_s
        assert SILENCES_S[0] <= clip.lead_in_s and clip.lead_in_s + SILENCES_S[0] <= silence_s + 0.001
        assert clip.language == clip.voice.language


@needs_espeak
def test_the_mouth_is_at_rest_around_the_speech(clips):
    for clip in clips:
        mouth = clip.mouth_at(np.array([0.0, 0.02, clip.duration_s]))
        np.testing.assert_array_equal(mouth[:, PARAMETERS.index("opening")], 0)


@needs_espeak
def test_the_mouth_moves_with_the_sound(clips):
    """Opening and loudness go together (Chandrasekaran et al., 2009), the lips ahead by two frames at most."""
    delays_s = np.arange(-0.14, 0.15, 0.02)
    correlations = np.zeros(len(delays_s))
    for clip in clips:
        loudness = np.sqrt(np.convolve(clip.samples**2, np.hanning(1280), mode="same"))
        times_s = np.arange(0.15, clip.duration_s - 0.15, 0.01)
        opening = clip.mouth_at(times_s)[:, PARAMETERS.index("opening")]
        for index, delay_s in enumerate(delays_s):
            heard = loudness[np.round((times_s + delay_s) * clip.sampling_rate).astype(int)]
            correlations[index] += np.corrcoef(opening, heard)[0, 1] / len(clips)
    assert correlations.max() > 0.5
    assert 0 <= delays_s[correlations.argmax()] < 0.081


@needs_espeak
def test_the_mouth_uses_its_range(clips):
    opening = np.concatenate([clip.mouth_at(np.arange(0, clip.duration_s, 0.04))[:, 0] for clip in clips])
    assert opening.max() > 0.9 and 0.1 < np.mean(opening == 0) < 0.5 and np.median(opening[opening > 0]) > 0.2


@pytest.mark.parametrize("seed, split, told", [(-1, "train", "`seed` is -1"), (0, "dev", "`split` is 'dev'")])
def test_wrong_arguments_are_named(seed, split, told):
    with pytest.raises(ValueError, match=told):
        draw_utterance(seed, split)
