"""YAML into frozen dataclasses, strictly: unknown keys and values of another kind are one-line errors."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import yaml

from ..errors import MediaError

Config = TypeVar("Config")


def read_config(
    kind: type[Config],
    path: str | Path,
    overrides: Sequence[str] = (),
    presets: dict[str, dict[str, dict]] | None = None,
) -> Config:
    """A configuration from a YAML file.

    Args:
        kind: the dataclass.
        path: the file.
        overrides: `key=value`, or `key.inner=value`, each value in YAML; they win over the file.
        presets: of sections that may be a name instead: section, name, and what the name stands for.

    Raises:
        MediaError: if the file is missing or no YAML.
        ValueError: for an unknown key (naming the nearest known one) or a wrong value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(path, f"cannot be read ({getattr(error, 'strerror', None) or 'not text'})") from error
    except yaml.YAMLError as error:
        raise MediaError(path, f"is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise MediaError(path, "holds no settings; write them as `name: value`, one a line")
    for override in overrides:
        _override(values, override, presets or {})
    return config_of(kind, values)


def config_of(kind: type[Config], values: dict, where: str = "") -> Config:
    """A dataclass from plain values, nested ones as dicts; numbers may be text, as YAML reads 1e-4.

    Raises:
        ValueError: as in [`read_config`].
    """
    known = {field.name for field in dataclasses.fields(kind)}
    for name in values:
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)[0]
            raise ValueError(f"`{where}{name}` is not known; the nearest setting is `{where}{nearest}`")
    hints = typing.get_type_hints(kind)
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    for name in missing:
        if name not in values:
            raise ValueError(f"`{where}{name}` is missing")
    return kind(**{name: _converted(hints[name], value, f"{where}{name}") for name, value in values.items()})


def write_config(config: object, path: str | Path) -> None:
    """Writes a configuration so that [`read_config`] reads the same."""
    Path(path).write_text(yaml.safe_dump(_plain(dataclasses.asdict(config)), sort_keys=False))


def _override(values: dict, text: str, presets: dict[str, dict[str, dict]]) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not name=value")
    *sections, name = key.split(".")
    for section in sections:
        if not isinstance(values.get(section), dict):
            values[section] = dict(presets.get(section, {}).get(values.get(section), {}))
        values = values[section]
    try:
        values[name] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"`{key}` is {value!r}, which is not YAML") from error


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def _converted(hint: object, value: object, name: str) -> object:
    """The value as the type hint wants it."""
    for choice in hint.__args__ if isinstance(hint, types.UnionType) else (hint,):
        try:
            return _converted_to_one(choice, value, name)
        except TypeError:
            continue
    raise ValueError(f"`{name}` is {value!r}, expected {_describe(hint)}")


def _converted_to_one(hint: object, value: object, name: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return config_of(hint, value, f"{name}.")
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


def _describe(hint: object) -> str:
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "text", type(None): "nothing"}
    if isinstance(hint, types.UnionType):
        return " or ".join(_describe(choice) for choice in hint.__args__)
    if typing.get_origin(hint) is tuple:
        return f"a list, each {_describe(typing.get_args(hint)[0])}"
    return words.get(hint, "settings, one a line below it")
