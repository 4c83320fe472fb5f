"""Which of two values of a measure is better."""

from ..measures.table import Measure

ARROWS = {"higher": "↑", "lower": "↓", "near 1": "→ 1", "near 0": "→ 0"}


def goodness(measure: Measure, value: float) -> float:
    """Returns a number that is larger for better values."""
    if measure.better == "higher":
        return value
    if measure.better == "lower":
        return -value
    return -abs(value - (1 if measure.better == "near 1" else 0))
