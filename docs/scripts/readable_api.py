"""Griffe extension: makes the Python API readable on a page.

Names that docstrings write as diffusers does, such as [`SyncOptions`], become links; defaults of fields declared as
`_option(DEFAULT, …)` are shown as DEFAULT.
"""

import re
from collections.abc import Callable

import griffe

NAME = re.compile(r"\[`([\w.]+)`\](?![(\[])")
FIELD_FUNCTION = "_option"


class ReadableApi(griffe.Extension):
    """Rewrites docstrings and defaults of a package."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs) -> None:
        """Called once, when the package has been read."""
        public = {str(name) for name in pkg.exports or ()}

        def linked(match: re.Match) -> str:
            name = match[1]
            return f"[`{name}`][{pkg.path}.{name}]" if name in public else f"`{name}`"

        _rewrite(pkg, linked)


def _rewrite(obj: griffe.Object, linked: Callable[[re.Match], str]) -> None:
    for member in obj.members.values():
        if not member.is_alias:
            _rewrite(member, linked)
    if obj.docstring is not None:
        obj.docstring.value = NAME.sub(linked, obj.docstring.value)
    if obj.is_attribute:
        obj.value = _default(obj.value)
    if obj.is_function:
        for parameter in obj.parameters:
            parameter.default = _default(parameter.default)


def _default(value: griffe.Expr | str | None) -> griffe.Expr | str | None:
    if isinstance(value, griffe.ExprCall) and str(value.function) == FIELD_FUNCTION:
        return value.arguments[0]
    return value
