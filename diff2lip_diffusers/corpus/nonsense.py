"""Draws meaningless words, for phoneme sequences that the grammars do not have.

The grammars have a few hundred words. A network that hears only those learns words; from nonsense it learns phonemes.
"""

import numpy as np

ONSETS = {
    "en": "b|c|d|f|g|h|j|k|l|m|n|p|r|s|t|v|w|y|z|bl|br|ch|cl|dr|fl|fr|gr|pl|pr|sh|sk|sl|sp|st|str|th|tr|tw|qu",
    "de": "b|d|f|g|h|j|k|l|m|n|p|r|s|t|w|z|bl|br|dr|fl|fr|gr|kl|kn|kr|pf|pl|sch|schl|schw|sp|st|str|tr|zw",
    "fr": "b|c|d|f|g|j|l|m|n|p|r|s|t|v|z|bl|br|ch|cl|cr|dr|fl|fr|gr|pl|pr|tr|gn",
    "es": "b|c|d|f|g|j|l|ll|m|n|ñ|p|r|s|t|v|y|z|bl|br|ch|cl|cr|dr|fl|fr|gr|pl|pr|tr",
    "it": "b|c|d|f|g|l|m|n|p|r|s|t|v|z|br|ch|cr|dr|fr|gl|gn|gr|pr|sc|sp|st|str|tr|qu",
    "pt": "b|c|d|f|g|j|l|lh|m|n|nh|p|r|s|t|v|x|z|bl|br|ch|cl|cr|dr|fl|fr|gr|pl|pr|tr",
}
VOWELS = {
    "en": "a|e|i|o|u|ai|ea|ee|oa|oo|ou|ow|oy|ar|er|or",
    "de": "a|e|i|o|u|ä|ö|ü|ei|au|eu|ie|aa|ah|oh",
    "fr": "a|e|i|o|u|é|è|ai|au|eu|oi|ou|an|in|on|ui",
    "es": "a|e|i|o|u|ai|ei|ia|ie|io|ue|au",
    "it": "a|e|i|o|u|ai|ia|ie|io|uo|au",
    "pt": "a|e|i|o|u|ão|ã|ei|ou|ai|em|é|ó",
}
CODAS = {
    "en": "||||b|ck|d|f|g|l|m|n|ng|p|r|s|sh|t|th|v|x|nd|st",
    "de": "||||ch|ck|f|g|l|m|n|ng|p|r|s|t|nd|st|rt",
    "fr": "|||||c|l|m|n|r|s|t",
    "es": "|||||l|n|r|s|d",
    "it": "||||||l|n|r",
    "pt": "|||||l|m|r|s",
}
WORDS, SYLLABLES = (4, 9), (1, 4)
COMMA_SHARE = 0.12


def draw_nonsense(rng: np.random.Generator, language: str) -> str:
    """Random words that can be pronounced in a language, ending in a period.

    Args:
        rng: decides the words.
        language: key of the grammars.
    """
    words = [_word(rng, language) + ("," if rng.random() < COMMA_SHARE else "") for _ in range(rng.integers(*WORDS))]
    return " ".join(words).rstrip(",").capitalize() + "."


def _word(rng: np.random.Generator, language: str) -> str:
    parts = (ONSETS[language], VOWELS[language], CODAS[language])
    return "".join(str(rng.choice(part.split("|"))) for _ in range(rng.integers(*SYLLABLES)) for part in parts)
