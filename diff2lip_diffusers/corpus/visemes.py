"""Visemes: the mouth parameters of every IPA symbol in the corpus's languages."""

import logging
import unicodedata
from dataclasses import dataclass

import numpy as np

logger = logging.getLogger(__name__)

PARAMETERS = ("opening", "width", "rounding", "teeth", "tongue", "jaw")


@dataclass(frozen=True)
class Viseme:
    """The target mouth shape of a phoneme.

    Attributes:
        target: the six `PARAMETERS`, each from 0 to 1.
        dominance: its weight against neighbors in time: high for closures, which must be reached, low for vowels.
    """

    target: tuple[float, ...]
    dominance: float


# Columns: symbols | opening width rounding teeth tongue jaw | dominance
_TABLE = """
p b m          | 0.00 0.50 0.10 0.00 0.00 0.10 | 12.0
f v ɱ          | 0.14 0.52 0.05 0.90 0.00 0.16 | 6.0
β ʋ ɸ          | 0.10 0.48 0.15 0.30 0.00 0.20 | 3.0
θ ð            | 0.28 0.52 0.05 0.60 0.95 0.28 | 2.0
t d            | 0.22 0.54 0.05 0.60 0.55 0.22 | 1.3
n ɲ            | 0.24 0.54 0.05 0.45 0.60 0.24 | 1.2
l ʎ ɫ          | 0.34 0.54 0.05 0.45 0.85 0.32 | 1.2
s z            | 0.16 0.62 0.02 0.95 0.15 0.12 | 2.2
ʃ ʒ            | 0.26 0.26 0.75 0.80 0.10 0.22 | 2.5
ç ʝ j ʲ        | 0.24 0.68 0.02 0.60 0.35 0.24 | 1.2
k ɡ g ŋ x ɣ    | 0.34 0.50 0.08 0.30 0.15 0.36 | 0.8
h ʔ            | 0.42 0.50 0.05 0.25 0.05 0.42 | 0.4
ɹ r ɾ          | 0.30 0.38 0.40 0.40 0.40 0.30 | 1.0
ʁ              | 0.38 0.48 0.12 0.30 0.15 0.40 | 0.8
w ʍ ɥ          | 0.16 0.06 1.00 0.00 0.00 0.22 | 3.5
i              | 0.38 0.95 0.00 0.60 0.25 0.26 | 1.0
ɪ ᵻ ɨ          | 0.48 0.76 0.02 0.50 0.22 0.36 | 1.0
e              | 0.60 0.84 0.00 0.50 0.18 0.46 | 1.0
ɛ              | 0.76 0.76 0.00 0.45 0.15 0.66 | 1.0
æ              | 0.88 0.78 0.00 0.45 0.12 0.86 | 1.0
a              | 0.98 0.62 0.00 0.35 0.08 0.96 | 1.0
ɐ ʌ            | 0.86 0.56 0.02 0.30 0.08 0.78 | 1.0
ə ɜ ɚ          | 0.52 0.50 0.08 0.30 0.12 0.44 | 0.8
ɑ              | 0.98 0.46 0.08 0.25 0.05 1.00 | 1.0
ɒ              | 0.86 0.30 0.40 0.15 0.03 0.92 | 1.1
ɔ              | 0.76 0.22 0.66 0.10 0.02 0.76 | 1.2
o              | 0.58 0.14 0.84 0.05 0.02 0.58 | 1.4
ʊ ʉ            | 0.40 0.16 0.82 0.05 0.02 0.36 | 1.3
u              | 0.22 0.05 1.00 0.00 0.00 0.30 | 1.8
y ʏ            | 0.24 0.10 0.95 0.10 0.15 0.28 | 1.8
ø              | 0.46 0.18 0.82 0.15 0.15 0.42 | 1.4
œ              | 0.64 0.28 0.64 0.20 0.12 0.58 | 1.2
"""


def _read_table() -> dict[str, Viseme]:
    visemes = {}
    for row in _TABLE.strip().splitlines():
        symbols, target, dominance = row.split("|")
        viseme = Viseme(tuple(float(value) for value in target.split()), float(dominance))
        visemes.update(dict.fromkeys(symbols.split(), viseme))
    return visemes


VISEMES = _read_table()
SILENCE = Viseme((0.0, 0.5, 0.05, 0.0, 0.0, 0.04), 1.0)
UNKNOWN = Viseme((0.45, 0.5, 0.1, 0.3, 0.1, 0.45), 0.8)

# Marks that do not change the lips: length, stress, nasality, ties, espeak's own marks.
_MARKS = set("ːˑˈˌ:;,'`-_|^~*!?.()0123456789ʰˤ")
_warned: set[str] = set()


def visemes_of(symbol: str) -> tuple[Viseme, ...]:
    """The mouth shapes of a phoneme: one, or two for a diphthong or an affricate.

    Args:
        symbol: IPA letters with any marks. No letters mean silence; an unknown letter means a half-open mouth, with
            one warning in the log.
    """
    letters = [letter for letter in _letters(symbol) if letter not in _MARKS]
    return tuple(_viseme(letter) for letter in letters) or (SILENCE,)


def _letters(symbol: str) -> list[str]:
    """The base letters, without accents, but with the cedilla of ç."""
    composed = unicodedata.normalize("NFC", symbol)
    parts = [letter if letter == "ç" else unicodedata.normalize("NFD", letter) for letter in composed]
    return [letter for letter in "".join(parts) if not unicodedata.combining(letter)]


def _viseme(letter: str) -> Viseme:
    if letter not in VISEMES and letter not in _warned:
        _warned.add(letter)
        logger.warning("the IPA symbol %r has no mouth shape; a half-open mouth is used", letter)
    return VISEMES.get(letter, UNKNOWN)


def shape_within(symbol: str, progress: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets and dominances during a phoneme.

    Args:
        symbol: as for `visemes_of`.
        progress: (K,) from 0 at the start of the phoneme to 1 at its end.

    Returns:
        (K, 6) targets and (K,) dominances; a diphthong holds its first vowel, glides, and holds its last one.
    """
    shapes = visemes_of(symbol)
    edges = np.linspace(0.0, 1.0, 2 * len(shapes) + 1)[1::2] if len(shapes) > 1 else np.array([0.5])
    columns = np.array([(*shape.target, shape.dominance) for shape in shapes])
    course = np.stack([np.interp(progress, edges, column) for column in columns.T], axis=-1)
    return course[:, :-1], course[:, -1]
