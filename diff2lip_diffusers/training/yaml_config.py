"""YAML files to frozen dataclasses and back: known keys and fitting values, or one line that says what is wrong."""

import difflib
import types
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from ..errors import ConfigError, MediaError
from ..output_paths import hidden_folder_beside, writing

Config = TypeVar("Config")
NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}


def read_config(path: str | Path, cls: type[Config], **overrides: Any) -> Config:
    """The dataclass that a YAML file describes; fields it does not name keep their defaults.

    Understands fields of type int, float, str, bool, `X | None` and `tuple[X, ...]`. What a value may be beyond its
    type is checked by the `__post_init__` of `cls`, whose ValueError gets the file's name in front.

    Args:
        path: the file.
        cls: a dataclass.
        overrides: values that go before the file's, such as those of the command line; None stands for "not given".

    Raises:
        ConfigError: if the file is no YAML mapping, or a key is unknown, missing or of another type.
        MediaError: if it is missing.
    """
    given = _load(Path(path)) | {name: value for name, value in overrides.items() if value is not None}
    try:
        return cls(**_checked(given, cls))
    except ValueError as error:
        raise ConfigError(path, str(error)) from error


def write_config(config: Any, path: str | Path) -> None:
    """Writes all fields of a dataclass as YAML that [`read_config`] gives back; whole or not at all.

    Raises:
        MediaError: if the file cannot be written.
    """
    path = Path(path)
    with writing(path), hidden_folder_beside(path) as folder:
        file = Path(folder) / path.name
        file.write_text(yaml.safe_dump(_plain(asdict(config)), sort_keys=False, allow_unicode=True), encoding="utf-8")
        file.replace(path)


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MediaError(path, "is a folder, expected a YAML file" if path.is_dir() else "no such configuration file")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(getattr(error, "problem", None) or error).split())
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(path, f"is no YAML: {reason}{where}") from error
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise ConfigError(path, "is no mapping; write a `key: value` a line")
    return given


def _checked(given: dict[str, Any], cls: type) -> dict[str, Any]:
    kinds = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            cure = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(names)}"
            raise ValueError(f"unknown key `{key}`; {cure}")
    for field in fields(cls):
        if field.default is MISSING and field.default_factory is MISSING and field.name not in given:
            raise ValueError(f"lacks the key `{field.name}`, {_expected(kinds[field.name])}")
    return {key: _converted(value, kinds[key], key) for key, value in given.items()}


def _converted(value: Any, kind: Any, key: str) -> Any:
    """The value as its field's type wants it."""
    if get_origin(kind) in (Union, types.UnionType):
        for choice in get_args(kind):
            try:
                return _converted(value, choice, key)
            except ValueError:
                continue
    elif get_origin(kind) is tuple:
        if isinstance(value, list | tuple):
            return tuple(_converted(item, get_args(kind)[0], key) for item in value)
    elif kind is float:
        number = _number(value)
        if number is not None:
            return number
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"`{key}` is {value!r}, expected {_expected(kind)}")


def _number(value: Any) -> float | None:
    # YAML takes 1e-4, without a point, for a text.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _expected(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_expected(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list, each entry {_expected(get_args(kind)[0])}"
    return NAMES.get(kind, kind.__name__)


def _plain(value: Any) -> Any:
    """The value in YAML's own types."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
