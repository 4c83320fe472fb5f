import logging

import numpy as np
import pytest

from diff2lip_diffusers.corpus import visemes
from diff2lip_diffusers.corpus.visemes import PARAMETERS, SILENCE, UNKNOWN, VISEMES, shape_within, visemes_of

# All that espeak-ng's voices of the corpus's languages emitted for 120 sentences each, without stress marks.
SYMBOLS = """
a a- a: aɪ aʊ aː b d dz dʒ e eə eɪ eʊ eː f h i iə iʊ iː j k l m n o oɪ oʊ oː oːɹ p pf r s ss t ts tʃ u uː ũ v w x y y-
yː z æ ç ð ø øː ŋ œ œ̃ ɐ ɐ̃ ɐ̃ʊ ɐ̃ʊ̃ ɑ ɑː ɑːɹ ɑ̃ ɒ ɔ ɔø ɔɪ ɔː ɔːɹ ɔ̃ ə ə- əl əɹ əʊ ɚ ɛ ɛɹ ɛʊ ɛː ɛ̃ ɜ ɜː ɡ ɣ ɨ ɪ ɪɹ ɲ ɹ ɾ ʁ ʃ ʉ
ʉɹ ʉː ʊ ʊɹ ʌ ʌɹ ʌʉ ʍ ʎ ʏ ʒ ʝ ʲ β θ ᵻ
""".split()


def shape(symbol: str, parameter: str) -> float:
    (viseme,) = visemes_of(symbol)
    return viseme.target[PARAMETERS.index(parameter)]


def test_every_symbol_of_the_voices_has_a_shape(caplog):
    with caplog.at_level(logging.WARNING):
        for symbol in SYMBOLS:
            assert not {UNKNOWN, SILENCE} & set(visemes_of(symbol)), symbol
    assert not caplog.records


def test_shapes_are_six_numbers_from_0_to_1():
    for viseme in (*VISEMES.values(), SILENCE, UNKNOWN):
        assert len(viseme.target) == len(PARAMETERS)
        assert 0 <= min(viseme.target) and max(viseme.target) <= 1 and viseme.dominance > 0


def test_bilabials_close_the_lips_and_prevail():
    for symbol in "pbm":
        assert shape(symbol, "opening") == 0 and shape(symbol, "teeth") == 0
    others = [viseme.dominance for letter, viseme in VISEMES.items() if letter not in "pbmfvɱ"]
    assert min(VISEMES[letter].dominance for letter in "pbmfv") > max(others)


def test_labiodentals_show_the_teeth_in_a_narrow_gap():
    for symbol in "fv":
        assert 0 < shape(symbol, "opening") < 0.2 and shape(symbol, "teeth") > 0.8


@pytest.mark.parametrize("series", ["i e ɛ a", "u o ɔ ɑ", "y ø œ a"])
def test_vowels_open_as_in_the_chart_of_the_ipa(series):
    openings, jaws = ([shape(symbol, name) for symbol in series.split()] for name in ("opening", "jaw"))
    assert openings == sorted(set(openings)) and jaws == sorted(set(jaws))


@pytest.mark.parametrize("unrounded, rounded", ["iy", "eø", "ɛœ", "ɑɒ", "ʌɔ"])
def test_rounded_vowels_are_narrower_than_their_unrounded_partners(unrounded, rounded):
    assert shape(rounded, "rounding") > shape(unrounded, "rounding") + 0.3
    assert shape(rounded, "width") < shape(unrounded, "width")


@pytest.mark.parametrize(
    "marked, plain",
    [("ɑː", "ɑ"), ("ˈa", "a"), ("ˌɔː", "ɔ"), ("ɐ̃ʊ̃", "ɐʊ"), ("ũ", "u"), ("n̩", "n"), ("a-", "a"), ("t͡s", "ts")],
)
def test_marks_do_not_change_the_shape(marked, plain):
    assert visemes_of(marked) == visemes_of(plain)


def test_the_cedilla_is_part_of_its_letter():
    assert visemes_of("ç") == visemes_of("c\u0327") == (VISEMES["ç"],)


def test_pauses_are_silence():
    assert visemes_of("") == visemes_of("_:") == (SILENCE,)


def test_diphthongs_go_from_their_first_to_their_last_vowel():
    progress = np.linspace(0, 1, 101)
    targets, dominances = shape_within("aʊ", progress)
    np.testing.assert_allclose(targets[0], VISEMES["a"].target)
    np.testing.assert_allclose(targets[-1], VISEMES["ʊ"].target)
    np.testing.assert_allclose(targets[50], (np.add(VISEMES["a"].target, VISEMES["ʊ"].target)) / 2)
    np.testing.assert_allclose(dominances[[0, -1]], [VISEMES["a"].dominance, VISEMES["ʊ"].dominance])
    assert np.all(np.diff(targets[:, PARAMETERS.index("opening")]) <= 0)


def test_single_sounds_keep_their_shape():
    targets, dominances = shape_within("m", np.array([0.0, 0.3, 1.0]))
    np.testing.assert_array_equal(targets, [VISEMES["m"].target] * 3)
    np.testing.assert_array_equal(dominances, [VISEMES["m"].dominance] * 3)


def test_unknown_sounds_are_half_open_and_said_once(caplog, monkeypatch):
    monkeypatch.setattr(visemes, "_warned", set())
    with caplog.at_level(logging.WARNING):
        assert visemes_of("ʘ") == visemes_of("ʘ") == (UNKNOWN,)
    assert [record.getMessage() for record in caplog.records] == [
        "the IPA symbol 'ʘ' has no mouth shape; a half-open mouth is used"
    ]
    assert 0.3 < UNKNOWN.target[PARAMETERS.index("opening")] < 0.6
