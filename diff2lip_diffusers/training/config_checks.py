"""Checks of single settings, whose errors say what was expected."""

import math


def check_range(config: object, where: str, name: str, smallest: float, largest: float = math.inf) -> None:
    """Raises ValueError if a field is not from `smallest` to `largest`; `where` is the prefix of its name."""
    value = getattr(config, name)
    if not smallest <= value <= largest:
        upper = f" to {largest:g}" if largest < math.inf else " or more"
        raise ValueError(f"`{where}{name}` is {value}, expected {smallest:g}{upper}")


def check_choice(config: object, name: str, known: tuple) -> None:
    """Raises ValueError if a field has none of the known values."""
    value = getattr(config, name)
    if value not in known:
        raise ValueError(f"`{name}` is {value!r}, known are {', '.join(map(str, known))}")
