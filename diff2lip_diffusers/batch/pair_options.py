"""What can be chosen for a single pair, and how a list writes it: as the command line does."""

import argparse
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from numbers import Integral, Real

from ..lipsync.option_values import box, face, number_option, pads, rate
from ..lipsync.options import OPTION_RANGES, OPTION_WORDS, SyncOptions

MAX_SHOWN_CHARS = 80
FLAGS = ("voxceleb2_crop", "lossless", "mark", "reproduce")
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# What all pairs of a run share.
SHARED_OPTIONS = ("batch_size", "detector", "detections", "restore")


def shortened(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 3]}..."


def _word(words: Collection[str], text: str) -> str:
    if text not in words:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(words)}")
    return text


def _flag(text: str) -> bool:
    if text.lower() not in TRUTHS:
        raise argparse.ArgumentTypeError(f"{text!r} is not true or false")
    return TRUTHS[text.lower()]


def _number(name: str) -> Callable[[str], object]:
    kind = rate if name == "fps" else {Integral: int, Real: float}[OPTION_RANGES[name][0]]
    return number_option(name, kind)["type"]


# What can be chosen for a single pair: name, and what reads its text as the command line does.
OPTION_TEXTS: dict[str, Callable[[str], object]] = {
    **{"box": box, "face": face, "pads": pads},
    **{name: _number(name) for name in OPTION_RANGES if name not in SHARED_OPTIONS},
    **{name: partial(_word, words) for name, words in OPTION_WORDS.items()},
    **dict.fromkeys(FLAGS, _flag),
}


def check_key(name: object, what: str, known: Collection[str]) -> None:
    if name in SHARED_OPTIONS:
        raise ValueError(f"`{name}` cannot be chosen for a single pair; choose it for all of them")
    if name not in known:
        raise ValueError(f"{what} {shortened(name)} is unknown, known are {', '.join(known)}")


def as_text(name: str, value: object) -> str:
    """A value of JSON as a cell of a CSV holds it."""
    if isinstance(value, list) and len(value) > 1 and all(type(part) in (int, float) for part in value):
        return ",".join(map(str, value))
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"`{name}` is {shortened(value)}, expected a text or numbers")
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


@lru_cache(maxsize=1024)
def options_from_texts(texts: tuple[tuple[str, str], ...]) -> dict[str, object]:
    options = {name: _parsed(name, text) for name, text in texts}
    SyncOptions(**options)
    return options


def _parsed(name: str, text: str) -> object:
    try:
        return OPTION_TEXTS[name](text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        expected = str(error).removeprefix(f"{text!r} is not ")
        raise ValueError(f"`{name}` is {shortened(text)}, expected {expected}") from error


def check_options(options: dict) -> None:
    for name, value in options.items():
        check_key(name, "option", OPTION_TEXTS)
        if name in FLAGS and not isinstance(value, bool):
            raise ValueError(f"`{name}` is {shortened(value)}, expected True or False")
    try:
        SyncOptions(**options)
    except TypeError as error:
        raise ValueError(f"`options` are {shortened(options)}, with a value of the wrong type: {error}") from error
