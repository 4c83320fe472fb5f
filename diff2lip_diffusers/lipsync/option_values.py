"""Kinds of option values: each checks a Python value, reads a text, and says what it expects."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ..boxes import FaceBox
from ..stores.urls import Location, Url, is_url, located

MIN_BOX_PX = 8
TRUTH_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class OptionKind(Protocol):
    """Which values an option takes."""

    @property
    def expected(self) -> str:
        """The values in words, for errors."""
        ...

    def checked(self, value: Any) -> Any:
        """The value as the library uses it.

        Raises:
            ValueError: the option does not take it.
        """
        ...

    def parse(self, text: str) -> Any:
        """The value that a text on the command line or in a list of pairs stands for.

        Raises:
            ValueError: the text stands for none.
        """
        ...


@dataclass(frozen=True)
class Number:
    """A number in a range.

    Args:
        read: turns a text into it; `int` also says that fractions are refused.
        smallest: the lowest value.
        largest: the highest value.
        expected: the range in words.
    """

    read: Callable[[str], Any]
    smallest: float | Fraction
    largest: float | Fraction
    expected: str

    def checked(self, value: Any) -> Any:
        """The same number."""
        if not is_number(value, Integral if self.read is int else Real) or not self.smallest <= value <= self.largest:
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> Any:
        """The number that the text states."""
        return self.checked(self.read(text))


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words."""
        return f"one of {', '.join(self.words)}"

    def checked(self, value: Any) -> str:
        """The same word."""
        if value not in self.words:
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> str:
        """The same word."""
        return self.checked(text)


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    expected: str = "True or False"

    def checked(self, value: Any) -> bool:
        """The same truth value."""
        if not isinstance(value, bool):
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> bool:
        """True for true, yes and 1; False for false, no and 0."""
        if text.lower() not in TRUTH_WORDS:
            raise ValueError(self.expected)
        return TRUTH_WORDS[text.lower()]


@dataclass(frozen=True)
class WordOrFunction:
    """The name of something that the package has, or a function of the caller's."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The names."""
        return f"a function, or one of {', '.join(self.words)}"

    def checked(self, value: Any) -> Any:
        """The same name or function."""
        if not (callable(value) or (isinstance(value, str) and value in self.words)):
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> str:
        """The same name."""
        return self.checked(text)


@dataclass(frozen=True)
class FileOrFunction:
    """The name of a file, or a function of the caller's."""

    expected: str

    def checked(self, value: Any) -> Path | Callable:
        """The path, or the same function."""
        if callable(value):
            return value
        if not isinstance(value, (str, os.PathLike)) or not str(value) or is_url(value):
            raise ValueError(self.expected)
        return Path(value)

    def parse(self, text: str) -> Path | Callable:
        """The path."""
        return self.checked(text)


@dataclass(frozen=True)
class WordOrPath:
    """A word, or the name of a file."""

    words: tuple[str, ...]
    names_file: ClassVar[bool] = True

    @property
    def expected(self) -> str:
        """The words, and that it may be a file."""
        return f"{', '.join(self.words)} or a file name"

    def checked(self, value: Any) -> str | Location:
        """The same word, the path or the URL."""
        if not isinstance(value, (str, os.PathLike, Url)) or not str(value):
            raise ValueError(self.expected)
        return value if isinstance(value, str) and value in self.words else located(value)

    def parse(self, text: str) -> str | Location:
        """The same word, the path or the URL."""
        return self.checked(text)


@dataclass(frozen=True)
class FilePath:
    """The name or URL of a file."""

    expected: str = "a file name"
    names_file: ClassVar[bool] = True

    def checked(self, value: Any) -> Any:
        """The same name, or the URL."""
        if not isinstance(value, (str, os.PathLike, Url)):
            raise ValueError(self.expected)
        return located(value) if is_url(value) else value

    def parse(self, text: str) -> str:
        """The same name."""
        return text


@dataclass(frozen=True)
class LocalPath:
    """The name of a file or folder on a disk."""

    expected: str = "a file name"

    def checked(self, value: Any) -> Any:
        """The same name."""
        if not isinstance(value, (str, os.PathLike)) or is_url(value):
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> str:
        """The same name."""
        return text


@dataclass(frozen=True)
class SegmentList:
    """The segments of a dialogue: a file that lists them, or mappings."""

    expected: str = "a JSON or CSV file, or a sequence of mappings with start, end, audio and face"
    names_file: ClassVar[bool] = True

    def checked(self, value: Any) -> Any:
        """The same file name, or a tuple of mappings."""
        if isinstance(value, (str, os.PathLike)) and str(value) and not is_url(value):
            return Path(value)
        if isinstance(value, (str, os.PathLike)) or not isinstance(value, Sequence) or not len(value):
            raise ValueError(self.expected)
        if not all(isinstance(row, Mapping) for row in value):
            raise ValueError(self.expected)
        return tuple(value)

    def parse(self, text: str) -> Path:
        """The file name."""
        return self.checked(text)


@dataclass(frozen=True)
class FilePaths:
    """The names of files; on the command line one after another."""

    expected: str = "a sequence of file names"

    def checked(self, value: Any) -> tuple:
        """The same names."""
        if isinstance(value, (str, os.PathLike)) or not isinstance(value, Sequence):
            raise ValueError(self.expected)
        if not all(isinstance(name, (str, os.PathLike, Url)) and str(name) for name in value):
            raise ValueError(self.expected)
        return tuple(located(name) if is_url(name) else name for name in value)

    def parse(self, text: str) -> str:
        """One name."""
        if not text:
            raise ValueError(self.expected)
        return text


@dataclass(frozen=True)
class MediaPath:
    """The name of a video, an image or a folder of images."""

    expected: str = "a video, an image, or a folder of images"
    names_file: ClassVar[bool] = True

    def checked(self, value: Any) -> Location:
        """The path or the URL."""
        if not isinstance(value, (str, os.PathLike, Url)) or not str(value):
            raise ValueError(self.expected)
        return located(value)

    def parse(self, text: str) -> Location:
        """The path or the URL."""
        return self.checked(text)


@dataclass(frozen=True)
class Box:
    """A box in pixels, large enough for a face; an infinite edge means that of the frame."""

    expected: str = f"x1,y1,x2,y2 with at least {MIN_BOX_PX} pixels in width and height"

    def checked(self, value: Any) -> FaceBox:
        """The box."""
        edges = astuple(value) if isinstance(value, FaceBox) else _numbers(value, 4)
        box = FaceBox(*edges) if edges else None
        if box is None or not min(box.width, box.height) >= MIN_BOX_PX:
            raise ValueError(self.expected)
        return box

    def parse(self, text: str) -> tuple[int, ...]:
        """Four whole numbers."""
        x1, y1, x2, y2 = edges = _whole_numbers(text)
        if x2 <= x1 or y2 <= y1:
            raise ValueError(self.expected)
        return edges


@dataclass(frozen=True)
class Pads:
    """Four widths in pixels."""

    expected: str = "four numbers top,bottom,left,right"

    def checked(self, value: Any) -> Any:
        """The same sequence."""
        if not isinstance(value, Sequence) or not _finite_numbers(value, 4):
            raise ValueError(self.expected)
        return value

    def parse(self, text: str) -> tuple[int, ...]:
        """Four whole numbers."""
        return _whole_numbers(text)


@dataclass(frozen=True)
class FaceChoice:
    """Which of several faces."""

    expected: str = "largest, a number from 0, or a point x,y"

    def checked(self, value: Any) -> str | int | tuple[float, float]:
        """`"largest"`, the same number, or the point as a tuple."""
        if is_number(value, Integral) and value >= 0:
            return value
        if isinstance(value, str) and value == "largest":
            return value
        point = _finite_numbers(value, 2)
        if not point:
            raise ValueError(self.expected)
        return point

    def parse(self, text: str) -> str | int | tuple[float, float]:
        """`"largest"`, a number, or a point."""
        if text == "largest" or text.isdecimal():
            return text if text == "largest" else int(text)
        x, y = (float(part) for part in text.split(","))
        return self.checked((x, y))


def is_number(value: object, kind: type = Real) -> bool:
    """Whether a value is a number of a kind; `True` and `False` are none, though Python counts them as integers."""
    return isinstance(value, kind) and not isinstance(value, bool)


def read_rate(text: str) -> Fraction:
    """A number such as 25, 29.97 or 30000/1001, but none like 1e999999999, which would take hours and gigabytes.

    Raises:
        ValueError: for any other text.
    """
    if "e" in text.lower():
        raise ValueError("no exponents")
    try:
        return Fraction(text)
    except ZeroDivisionError as error:
        raise ValueError("no division by zero") from error


def _numbers(value: Any, count: int) -> tuple | None:
    """The numbers of a sequence or array of that length; None for anything else."""
    try:
        numbers = () if isinstance(value, str) else tuple(value)
    except TypeError:
        return None
    return numbers if len(numbers) == count and all(map(is_number, numbers)) else None


def _finite_numbers(value: Any, count: int) -> tuple | None:
    """As `_numbers`; None also where one is infinite or no number at all."""
    numbers = _numbers(value, count)
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _whole_numbers(text: str) -> tuple[int, ...]:
    x1, y1, x2, y2 = (int(part) for part in text.split(","))
    return x1, y1, x2, y2
