"""Griffe extension: makes links of the names that docstrings write as diffusers does, such as [`SyncOptions`]."""

import re

import griffe

NAME = re.compile(r"\[`([\w.]+)`\](?![(\[])")


class DocstringLinks(griffe.Extension):
    """Links public names to their entry on the page, and takes the brackets off all others."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs) -> None:
        """Called once, when the package has been read."""
        public = {str(name) for name in pkg.exports or ()}

        def linked(match: re.Match) -> str:
            name = match[1]
            return f"[`{name}`][{pkg.path}.{name}]" if name in public else f"`{name}`"

        _rewrite(pkg, linked)


def _rewrite(obj: griffe.Object, linked) -> None:
    for member in obj.members.values():
        if not member.is_alias:
            _rewrite(member, linked)
    if obj.docstring is not None:
        obj.docstring.value = NAME.sub(linked, obj.docstring.value)
