"""Arguments of the commands: the only place that turns a bad value's `ValueError` into argparse's error."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from ..lipsync.option_values import FilePaths, Flag, Number, OptionKind
from ..lipsync.options import OPTIONS

# What is not given on the command line stays out of the arguments, so that the library alone knows the defaults.
UNLESS_GIVEN = {"default": argparse.SUPPRESS}


def parser_of(kind: OptionKind) -> Callable[[str], Any]:
    """Returns a function that reads a value of a kind, as the `type` of an argument."""

    def parse(text: str) -> Any:
        try:
            return kind.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {kind.expected}") from error

    return parse


def number(read: Callable[[str], Any], smallest: float, largest: float, expected: str) -> Callable[[str], Any]:
    """Returns a function that reads a number in a range, as the `type` of an argument."""
    return parser_of(Number(read, smallest, largest, expected))


POSITIVE = number(int, 1, math.inf, "a whole number above 0")
NOT_NEGATIVE = number(int, 0, math.inf, "a whole number, 0 or more")


def sync_option(name: str) -> dict[str, Any]:
    """How `add_argument` adds an option of `SyncOptions`, all but its flag and help."""
    option = OPTIONS[name]
    if isinstance(option.kind, Flag):
        return {"dest": name, "action": "store_false" if option.flag else "store_true", **UNLESS_GIVEN}
    words = None if getattr(option.kind, "names_file", False) else getattr(option.kind, "words", None)
    reading = {"choices": words} if words else {"type": parser_of(option.kind), "metavar": option.metavar}
    several = {"nargs": "+"} if isinstance(option.kind, FilePaths) else {}
    return {"dest": name, **reading, **several, **UNLESS_GIVEN}
