"""Options of single pairs: which there are, and how a list writes them (as the command line does)."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

from ..lipsync.options import OLD_NAMES, OPTIONS, SyncOptions

MAX_SHOWN_CHARS = 80
# What can be chosen for a single pair, and what all pairs of a run share.
PAIR_OPTIONS = tuple(name for name, option in OPTIONS.items() if option.scope == "pair")
# Those that name a file, relative to the root of a list.
FILE_OPTIONS = tuple(name for name in PAIR_OPTIONS if getattr(OPTIONS[name].kind, "names_file", False))
SHARED_OPTIONS = tuple(name for name in OPTIONS if name not in PAIR_OPTIONS)


def names_file(name: str, value: object) -> bool:
    """Whether the value of an option in `FILE_OPTIONS` names a file; some of them also take words."""
    return value not in getattr(OPTIONS[name].kind, "words", ())


def shortened(value: object) -> str:
    """The value as Python writes it, cut to what fits into an error line."""
    shown = repr(value)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 3]}..."


def check_key(name: object, what: str, known: Collection[str]) -> None:
    """Makes sure that a column, key or option is one of the known ones.

    Raises:
        ValueError: it is unknown, or an option that all pairs share.
    """
    if name in SHARED_OPTIONS:
        raise ValueError(f"`{name}` cannot be chosen for a single pair; choose it for all of them")
    if name not in known and name not in OLD_NAMES:
        raise ValueError(f"{what} {shortened(name)} is unknown, known are {', '.join(known)}")


def as_text(name: str, value: object) -> str:
    """A value of JSON as a cell of a CSV holds it."""
    if isinstance(value, list) and len(value) > 1 and all(type(part) in (int, float) for part in value):
        return ",".join(map(str, value))
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"`{name}` is {shortened(value)}, expected a text or numbers")
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


@lru_cache(maxsize=1024)
def options_from_texts(texts: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The options that a line of a list gives as names and texts.

    Raises:
        ValueError: a text makes no sense for its option, or two options contradict each other.
    """
    options = {OLD_NAMES.get(name, name): _parsed(name, text) for name, text in texts}
    SyncOptions(**options)
    return options


def _parsed(name: str, text: str) -> Any:
    kind = OPTIONS[OLD_NAMES.get(name, name)].kind
    try:
        return kind.parse(text)
    except ValueError as error:
        raise ValueError(f"`{name}` is {shortened(text)}, expected {kind.expected}") from error


def checked_pair_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a pair that was made in Python, by their present names.

    Raises:
        ValueError: an option does not exist or is one that all pairs share, a value is out of range, or two contradict
            each other.
    """
    for name in options:
        check_key(name, "option", PAIR_OPTIONS)
    renamed = {OLD_NAMES.get(name, name): value for name, value in options.items()}
    SyncOptions(**renamed)
    return renamed
