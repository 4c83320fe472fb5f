"""What the journals say of pairs: the records that can be used, oldest first."""

import logging
import math
from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any

# A pair that is done or has failed; and one of several that a process had in hand when it was killed.
DONE, FAILED, DIED = "done", "failed", "died"
# Between an output and the name of a step, in the key under which the step is leased.
STEP_MARK = "\n"

logger = logging.getLogger(__name__)


def output_of(key: str) -> str:
    """The output that a leased key belongs to; the key may be that of one of its steps."""
    return key.partition(STEP_MARK)[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# What the values of a record must be; other keys are only shown to users.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "output": _is_text,
    "status": _is_text,
    "ended_s": _is_number,
    "output_bytes": _is_count,
    "num_suspects": _is_count,
    "settings": lambda value: isinstance(value, dict),
    "error": lambda value: isinstance(value, str),
}


def sort_by_time(records: Iterable[dict]) -> list[dict]:
    """The records of pairs, oldest first.

    Records of other things are left out. Records that somebody damaged are left out with a warning.
    """
    of_pairs = [record for record in records if record.get("output") and _has_known_status(record)]
    sound = [record for record in of_pairs if _is_sound(record)]
    return sorted(sound, key=lambda record: record.get("ended_s", 0))


def _has_known_status(record: dict) -> bool:
    return any(record.get("status") == known for known in (DONE, FAILED, DIED))


def _is_sound(record: dict) -> bool:
    bad = [name for name, fits in _CHECKS.items() if name in record and not fits(record[name])]
    if bad:
        logger.warning("skipped a damaged record: its `%s` is %.40r", bad[0], record[bad[0]])
    return not bad
