"""Draws speakers: languages, espeak-ng voices and variants, rate and pitch; the splits share no speaker."""

from dataclasses import dataclass

import numpy as np

from .sentences import check_split

# espeak-ng's voices for each language.
ACCENTS = {
    "en": ("en-us", "en", "en-gb-x-rp", "en-gb-scotland"),
    "de": ("de",),
    "fr": ("fr",),
    "es": ("es", "es-419"),
    "it": ("it",),
    "pt": ("pt", "pt-br"),
}
LANGUAGE_WEIGHTS = {"en": 0.35, "de": 0.13, "fr": 0.13, "es": 0.13, "it": 0.13, "pt": 0.13}

# Variants that sound like people: no whisper, croak, robots or monsters.
VARIANTS = {
    "train": (
        *("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f4"),
        *("Alex", "Alicia", "Andrea", "Andy", "Michael", "Mike", "Marco", "Mario", "Diogo", "Denis", "Hugo"),
        *(
            "adam",
            "benjamin",
            "david",
            "ed",
            "edward",
            "john",
            "max",
            "michel",
            "pablo",
            "quincy",
            "rob",
            "robert",
            "steph",
        ),
    ),
    "test": ("m6", "m8", "f3", "f5", "Annie", "belinda", "linda", "paul"),
}
RATES_WPM = (120, 190)
PITCHES = (20, 80)


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
        language: key of the grammars.
        accent: name of the espeak-ng voice.
        variant: name of its variant, which identifies the speaker.
        rate_wpm: words per minute.
        pitch: espeak-ng's, 0 to 99.
    """

    language: str
    accent: str
    variant: str
    rate_wpm: int
    pitch: int


def draw_voice(rng: np.random.Generator, split: str) -> Voice:
    """A random voice; no variant is in both splits.

    Args:
        rng: decides the voice.
        split: `"train"` or `"test"`.

    Raises:
        ValueError: if `split` is unknown.
    """
    check_split(split)
    language = str(rng.choice(list(LANGUAGE_WEIGHTS), p=list(LANGUAGE_WEIGHTS.values())))
    return Voice(
        language=language,
        accent=str(rng.choice(ACCENTS[language])),
        variant=str(rng.choice(VARIANTS[split])),
        rate_wpm=int(rng.integers(RATES_WPM[0], RATES_WPM[1] + 1)),
        pitch=int(rng.integers(PITCHES[0], PITCHES[1] + 1)),
    )
