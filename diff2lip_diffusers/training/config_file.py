"""Reads YAML into frozen dataclasses; unknown keys and wrong types are one-line errors."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..errors import MediaError
from .renamed_keys import HINTS, RENAMED_KEYS

# A dataclass.
Config = TypeVar("Config", bound=Any)


def read_config(
    kind: type[Config],
    path: str | Path,
    overrides: Sequence[str] = (),
    presets: dict[str, dict[str, dict]] | None = None,
) -> Config:
    """Returns the configuration in a YAML file.

    Args:
        kind: the dataclass.
        path: the file.
        overrides: `key=value` or `key.inner=value`, each value in YAML; they win over the file.
        presets: for sections that may be a name instead: section, name, and the values that the name stands for.

    Raises:
        MediaError: if the file is missing or not YAML.
        ValueError: for an unknown key (the line names the new or the nearest one) or a wrong value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(path, f"cannot be read ({getattr(error, 'strerror', None) or 'not text'})") from error
    except yaml.YAMLError as error:
        raise MediaError(path, f"is not YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError, TypeError, OverflowError) as error:  # deeply nested, or odd dates and keys
        raise MediaError(
            path, "is not YAML that can be read; write settings as `name: value`, one per line"
        ) from error
    if not isinstance(values, dict):
        raise MediaError(path, "holds no settings; write them as `name: value`, one per line")
    for override in overrides:
        _override(values, override, presets or {})
    return config_of(kind, values)


def config_of(kind: type[Config], values: dict, where: str = "") -> Config:
    """Returns a dataclass made from plain values, nested ones as dicts; numbers may be text, as YAML reads 1e-4.

    Raises:
        ValueError: as in [`read_config`].
    """
    fields = dataclasses.fields(kind)
    known = {field.name for field in fields}
    for name in values:
        if name not in known:
            raise ValueError(_unknown_key(str(name), known, where))
    hints = typing.get_type_hints(kind)
    missing = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    for name in missing:
        if name not in values:
            raise ValueError(f"`{where}{name}` is missing")
    return kind(**{name: _converted(hints[name], value, f"{where}{name}") for name, value in values.items()})


def write_config(config: Any, path: str | Path) -> None:
    """Writes a dataclass so that [`read_config`] reads the same; the file appears whole or not at all."""
    part = Path(path).with_name(f".{Path(path).name}.part")
    part.write_text(yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False))
    part.replace(path)


def _unknown_key(name: str, known: set[str], where: str) -> str:
    """Returns the error line for a key that is not known."""
    key, new = f"{where}{name}", RENAMED_KEYS.get(f"{where}{name}")
    if new in known:
        hint = f" ({HINTS[key]})" if key in HINTS else ""
        return f"`{key}` is now `{where}{new}`{hint}"
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"`{key}` is not known; the nearest setting is `{where}{nearest}`"


def _override(values: dict, text: str, presets: dict[str, dict[str, dict]]) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not name=value")
    *sections, name = key.split(".")
    for section in sections:
        inner = values.get(section)
        if not isinstance(inner, dict):
            inner = dict(presets.get(section, {}).get(str(inner), {}))
            values[section] = inner
        values = inner
    try:
        values[name] = yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"`{key}` is {value[:40]!r}, which is not YAML") from error


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def _converted(hint: Any, value: object, name: str) -> object:
    """Returns the value as the type hint wants it."""
    for choice in hint.__args__ if isinstance(hint, types.UnionType) else (hint,):
        try:
            return _converted_to_one(choice, value, name)
        except TypeError:
            continue
    raise ValueError(f"`{name}` is {value!r}, expected {_describe(hint)}")


def _converted_to_one(hint: Any, value: object, name: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return config_of(hint, value, f"{name}.")  # pyright: ignore[reportArgumentType]  (a class, never an instance)
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        return tuple(_converted(typing.get_args(hint)[0], entry, name) for entry in value)
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError as error:
            raise TypeError from error
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise TypeError


def _describe(hint: Any) -> str:
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "nothing"}
    if isinstance(hint, types.UnionType):
        return " or ".join(_describe(choice) for choice in hint.__args__)
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_describe(typing.get_args(hint)[0])}"
    return words.get(hint, "settings, one per line below it")
