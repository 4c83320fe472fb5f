import re

import numpy as np
import pytest
from helpers.corpus_speech import needs_espeak

from diff2lip_diffusers.corpus.nonsense import CODAS, ONSETS, VOWELS, draw_nonsense
from diff2lip_diffusers.corpus.sentences import LANGUAGES
from diff2lip_diffusers.corpus.utterance import draw_utterance
from diff2lip_diffusers.corpus.visemes import VISEMES


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_are_syllables_of_the_language(language):
    onset, vowel, coda = (table[language].strip("|") for table in (ONSETS, VOWELS, CODAS))
    syllable = f"(?:{onset})(?:{vowel})(?:{coda}|)"
    word = rf"(?:{syllable}){{1,3}}"
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert re.fullmatch(rf"{word}(?:,? {word}){{3,7}}\.", draw_nonsense(rng, language), re.IGNORECASE)


def test_the_seed_decides():
    first, second, other = (draw_nonsense(np.random.default_rng(seed), "en") for seed in (1, 1, 2))
    assert first == second != other


@needs_espeak
def test_it_is_spoken_with_known_sounds():
    spoken = draw_utterance(4, "train", nonsense=True)
    assert spoken.text != draw_utterance(4, "train").text
    symbols = {letter for phoneme in spoken.utterance.phonemes for letter in phoneme.symbol}
    assert len(symbols & VISEMES.keys()) > 8
