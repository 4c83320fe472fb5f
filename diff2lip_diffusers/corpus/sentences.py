"""Draws random sentences from the grammars of six languages."""

import re

import numpy as np

from .grammars import GRAMMARS, Grammar
from .heldout_grammars import HELDOUT_GRAMMARS

SPLITS = ("train", "test")
LANGUAGES = tuple(GRAMMARS)


def grammar_of(language: str, split: str) -> Grammar:
    """The grammar of a language in a split; the splits share no sentence.

    Args:
        language: one of `LANGUAGES`.
        split: `"train"` or `"test"`.

    Raises:
        ValueError: if either is unknown.
    """
    check_split(split)
    if language not in GRAMMARS:
        raise ValueError(f"`language` is {language!r}, known are {', '.join(LANGUAGES)}")
    return (GRAMMARS if split == "train" else HELDOUT_GRAMMARS)[language]


def check_split(split: str) -> None:
    """Raises ValueError if `split` is not the name of a split."""
    if split not in SPLITS:
        raise ValueError(f"`split` is {split!r}, expected 'train' or 'test'")


def draw_sentence(rng: np.random.Generator, language: str, split: str) -> str:
    """A random sentence, with a capital letter and a final punctuation mark.

    Args:
        rng: decides the sentence.
        language: one of `LANGUAGES`.
        split: `"train"` or `"test"`.

    Raises:
        ValueError: if `language` or `split` is unknown.
    """
    grammar = grammar_of(language, split)
    template = grammar.templates[rng.integers(len(grammar.templates))]
    sentence = re.sub(r"{(\w+)}", lambda slot: _draw(rng, grammar.slots[slot[1]]), template)
    return sentence[0].upper() + sentence[1:]


def _draw(rng: np.random.Generator, phrases: tuple[str, ...]) -> str:
    return phrases[rng.integers(len(phrases))]
