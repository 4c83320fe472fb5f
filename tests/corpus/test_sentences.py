import math
import re

import numpy as np
import pytest

from diff2lip_diffusers.corpus.sentences import LANGUAGES, SPLITS, draw_sentence, grammar_of

GRAMMARS = [(language, split) for language in LANGUAGES for split in SPLITS]


def slots_in(template: str) -> list[str]:
    return re.findall(r"{(\w+)}", template)


def first_words(language: str, split: str) -> set[str]:
    """The words with which a sentence can begin."""
    grammar = grammar_of(language, split)
    begins = []
    for template in grammar.templates:
        slot = re.match(r"{(\w+)}", template)
        begins += grammar.slots[slot[1]] if slot else [template]
    return {re.match(r"[\w'-]+", begin)[0].lower() for begin in begins}


@pytest.mark.parametrize("language", LANGUAGES)
def test_splits_share_no_sentence(language):
    assert first_words(language, "train").isdisjoint(first_words(language, "test"))


@pytest.mark.parametrize("language, split", GRAMMARS)
def test_templates_and_slots_fit(language, split):
    grammar = grammar_of(language, split)
    used = {slot for template in grammar.templates for slot in slots_in(template)}
    assert used == set(grammar.slots)
    for phrases in grammar.slots.values():
        assert len(set(phrases)) == len(phrases) and all(phrases)


@pytest.mark.parametrize("language, split", GRAMMARS)
def test_there_are_thousands_of_sentences(language, split):
    grammar = grammar_of(language, split)
    counts = [math.prod(len(grammar.slots[slot]) for slot in slots_in(text)) for text in grammar.templates]
    assert sum(counts) >= (5000 if split == "train" else 1000)


@pytest.mark.parametrize("language, split", GRAMMARS)
def test_sentences_begin_and_end_as_they_should(language, split):
    rng = np.random.default_rng(0)
    for _ in range(100):
        sentence = draw_sentence(rng, language, split)
        assert sentence[0].isupper() and sentence[-1] in ".?!"
        assert 3 <= len(sentence.split()) <= 24
        assert not re.search(r"[{}|_]|\s\s|\s[.,?!]", sentence)


def test_the_same_generator_draws_the_same_sentences():
    first, again = ([draw_sentence(np.random.default_rng(seed), "en", "train") for seed in range(20)] for _ in "ab")
    assert first == again and len(set(first)) > 15


def test_every_language_says_something_with_closed_lips():
    """Closures are what one sees first, so no language may go without p, b and m."""
    rng = np.random.default_rng(1)
    for language, split in GRAMMARS:
        sentences = [draw_sentence(rng, language, split).lower() for _ in range(50)]
        assert np.mean([len(re.findall("[pbm]", sentence)) for sentence in sentences]) > 2


@pytest.mark.parametrize("language, split, told", [("xx", "train", "`language` is 'xx'"), ("en", "dev", "`split`")])
def test_unknown_names_are_told(language, split, told):
    with pytest.raises(ValueError, match=told):
        draw_sentence(np.random.default_rng(0), language, split)
