"""Inputs of the page for the options of a job, made from their declarations in `SyncOptions`."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import gradio as gr

from ..lipsync.option_values import Choice, Flag, Number
from ..lipsync.options import OPTIONS, Option, SyncOptions

# The page has other ways for these, or leaves no choice: results must play in a browser, and say what they are.
LEFT_OUT = {"mark", "codec", "lossless", "max_duration", "max_pixels", "restore_strength", "reproduce", "fps"}
LARGEST_EXACT = 2**53  # of whole numbers in JavaScript
BY_DEFAULT = "by default"
DEFAULTS = {each.name: each.default for each in fields(SyncOptions)}


def shown_options() -> dict[str, Option]:
    """The options that a person can choose on the page, in groups: numbers, choices and switches."""
    shown = {
        name: option
        for name, option in OPTIONS.items()
        if option.help and option.scope == "pair" and name not in LEFT_OUT and isinstance(option.kind, _KINDS)
    }
    groups = list(dict.fromkeys(option.group for option in shown.values()))
    return dict(sorted(shown.items(), key=lambda item: groups.index(item[1].group)))


def option_input(name: str, option: Option) -> Any:
    """The input for an option."""
    label, info = name.replace("_", " ").capitalize(), _sentence(option.help)
    default = DEFAULTS[name]
    if isinstance(option.kind, Flag):
        return gr.Checkbox(value=bool(default), label=label, info=info, elem_id=f"option-{name}")
    if isinstance(option.kind, Choice):
        words = [BY_DEFAULT, *option.kind.words] if default is None else list(option.kind.words)
        return gr.Dropdown(words, value=default or BY_DEFAULT, label=label, info=info, elem_id=f"option-{name}")
    kind = option.kind
    return gr.Number(
        value=default,
        label=label,
        info=info,
        precision=0 if kind.read is int else None,
        minimum=_limit(kind.smallest),
        maximum=_limit(kind.largest),
        elem_id=f"option-{name}",
    )


def options_from(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The fields of `SyncOptions` that differ from the defaults."""
    given = {}
    for name, value in zip(names, values, strict=True):
        if value is None or value == BY_DEFAULT or value == "" or value == DEFAULTS[name]:
            continue
        given[name] = _number(name, value)
    return given


def _number(name: str, value: Any) -> Any:
    """A whole number where the option wants one; JavaScript has no other than floats."""
    kind = OPTIONS[name].kind
    whole = isinstance(kind, Number) and kind.read is int
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _limit(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) and abs(number) < LARGEST_EXACT else None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_KINDS = (Number, Choice, Flag)
