"""How values on the command line are read, with what was expected in the error."""

import argparse
from collections.abc import Callable
from fractions import Fraction

from .options import OPTION_RANGES

# What is not given on the command line stays out of the arguments, so that the library alone knows the defaults.
UNLESS_GIVEN = {"default": argparse.SUPPRESS}
FLAG = {"action": "store_true", **UNLESS_GIVEN}


def number(kind: Callable, smallest: float, largest: float, expected: str) -> Callable:
    """A parser of one number that says what it expected."""

    def parse(text: str):
        try:
            value = kind(text)
        except (ValueError, ZeroDivisionError):
            value = None
        if value is None or not smallest <= value <= largest:
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return value

    return parse


def rate(text: str) -> Fraction:
    """A number such as 25, 29.97 or 30000/1001, but none like 1e999999999, which would take hours and gigabytes."""
    if "e" in text.lower():
        raise ValueError("no exponents")
    return Fraction(text)


def number_option(name: str, kind: Callable) -> dict:
    """How one of `sync_video`'s numbers is read."""
    _, smallest, largest, expected = OPTION_RANGES[name]
    return {"type": number(kind, smallest, largest, expected), **UNLESS_GIVEN}


def _whole_numbers(text: str, what: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}, four whole numbers")
    return numbers


def pads(text: str) -> tuple[int, ...]:
    return _whole_numbers(text, "top,bottom,left,right")


def face(text: str) -> str | int | tuple[float, float]:
    """`largest`, a number, or a point."""
    if text == "largest" or text.isdecimal():
        return text if text == "largest" else int(text)
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not largest, a number from 0, or a point x,y") from error
    return x, y


def box(text: str) -> tuple[int, ...]:
    x1, y1, x2, y2 = edges = _whole_numbers(text, "x1,y1,x2,y2")
    if x2 <= x1 or y2 <= y1:
        raise argparse.ArgumentTypeError(f"{text!r} is not x1,y1,x2,y2 with x1 < x2 and y1 < y2")
    return edges
