"""Inputs of the page for the options of a job, made from their declarations in `SyncOptions`."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import gradio as gr

from ..lipsync.option_values import Choice, Flag, Number
from ..lipsync.options import OPTIONS, Option, SyncOptions

# The page has other ways for these, or leaves no choice: results must play in a browser, and say what they are.
LEFT_OUT = {"mark", "codec", "lossless", "max_duration", "max_pixels", "restore_strength", "reproduce", "fps"}
BY_DEFAULT = "by default"
MAX_TEXT = 24  # more characters than any number needs
DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(SyncOptions)}


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
    label, info = _label(name, option), _sentence(option.help)
    default = DEFAULTS[name]
    if isinstance(option.kind, Flag):
        return gr.Checkbox(value=bool(default), label=label, info=info, elem_id=f"option-{name}")
    if isinstance(option.kind, Choice):
        words = [BY_DEFAULT, *option.kind.words] if default is None else list(option.kind.words)
        return gr.Dropdown(words, value=default or BY_DEFAULT, label=label, info=info, elem_id=f"option-{name}")
    # A field for text, because a browser turns an empty field for numbers into 0.
    default_text = "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)
    return gr.Textbox(
        value=default_text,
        label=label,
        info=info,
        placeholder=BY_DEFAULT,
        max_length=MAX_TEXT,
        elem_id=f"option-{name}",
    )


def options_from(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The fields of `SyncOptions` that differ from the defaults.

    Raises:
        ValueError: if a text stands for no value of its option.
    """
    given = {}
    for name, value in zip(names, values, strict=True):
        if value is None or value == BY_DEFAULT or value == "":
            continue
        read = _read(name, value)
        if read != DEFAULTS[name]:
            given[name] = read
    return given


def _read(name: str, value: Any) -> Any:
    """The value of an option.

    Raises:
        ValueError: if the text stands for none.
    """
    kind = OPTIONS[name].kind
    if not isinstance(value, str):
        return value
    reason = f"{name.replace('_', ' ')} is {value[:MAX_TEXT]!r}, expected {kind.expected}"
    if len(value) > MAX_TEXT:
        raise ValueError(reason)
    try:
        return kind.parse(value.strip())
    except (ValueError, OverflowError) as error:
        raise ValueError(reason) from error


def _label(name: str, option: Option) -> str:
    """The name on the command line as words."""
    words = (option.flag or name).strip("-").replace("-", " ").replace("_", " ")
    return words.upper() if words == "crf" else words.capitalize()


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


_KINDS = (Number, Choice, Flag)
