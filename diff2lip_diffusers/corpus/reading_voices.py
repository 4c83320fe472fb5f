"""Voices that read aloud what a person types into a page, by names for people."""

from dataclasses import dataclass

from ..errors import Diff2LipError
from .espeak import Utterance, speak


@dataclass(frozen=True)
class ReadingVoice:
    """A voice of espeak-ng that reads a text.

    Attributes:
        voice: name of espeak-ng's voice.
        variant: its variant.
        rate_wpm: words per minute.
        pitch: 0 to 99.
    """

    voice: str
    variant: str
    rate_wpm: int = 150
    pitch: int = 50


VOICES = {
    f"{language}, {person}": ReadingVoice(voice, variant)
    for language, voice in {
        "English (US)": "en-us",
        "English (UK)": "en",
        "German": "de",
        "French": "fr",
        "Spanish": "es",
        "Italian": "it",
        "Portuguese": "pt",
    }.items()
    for person, variant in {"woman": "f5", "man": "m3"}.items()
}
DEFAULT_VOICE = next(iter(VOICES))


def read_aloud(text: str, voice: str | None = None, max_letters: int | None = None) -> Utterance:
    """A typed text as speech.

    Args:
        text: what a person typed.
        voice: a key of `VOICES`; None for the first one.
        max_letters: most characters that it may have.

    Raises:
        Diff2LipError: if the text is empty or too long, if there is no such voice, or if espeak-ng cannot say it.
    """
    words = _speakable(text)
    if not words.strip():
        raise Diff2LipError("There is no text; type what is to be said.")
    if max_letters is not None and len(text) > max_letters:
        raise Diff2LipError(f"The text has {len(text)} characters, more than the limit of {max_letters}.")
    chosen = VOICES.get(voice or DEFAULT_VOICE)
    if chosen is None:
        raise Diff2LipError(f"There is no voice {voice!r}; choose one of the list.")
    return speak(words, chosen.voice, chosen.rate_wpm, chosen.pitch, chosen.variant)


def _speakable(text: str) -> str:
    """A text without control characters, which espeak-ng may take for commands."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
