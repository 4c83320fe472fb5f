"""URLs of files in object stores and on the web."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What the processes of a batch share needs creation of an object "only if there is none", which these have.
STATE_PROTOCOLS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
WEB_PROTOCOLS = ("http", "https")
PROTOCOLS = (*STATE_PROTOCOLS, "hf", *WEB_PROTOCOLS)
_SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(?:::|://)", re.ASCII)
_CHAIN = re.compile(r"::[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
MAX_SHOWN_CHARS = 80


@dataclass(frozen=True)
class Url:
    """The URL of an object, or of a prefix that objects share.

    As text, it leaves out what may be secret: the query, with which signed URLs end.

    Args:
        full: the whole URL.

    Raises:
        ValueError: it chains protocols, holds a password, names nothing, or has a protocol that is not read.
    """

    full: str

    def __post_init__(self):
        protocol, found, rest = self.full.partition("://")
        shown = _shown(self.full)
        if not found or "::" in protocol or _CHAIN.search(rest):
            raise ValueError(f"{shown} chains protocols; name the file itself")
        if protocol.lower() not in PROTOCOLS:
            raise ValueError(f"{shown} has an unknown protocol; known are file, {', '.join(PROTOCOLS)}")
        host = rest.partition("/")[0]
        if protocol.lower() not in STATE_PROTOCOLS[-2:] and "@" in host and protocol.lower() != "hf":
            raise ValueError(f"{shown} holds a user or password; leave them to the environment")
        if not host:
            raise ValueError(f"{shown} names no {'host' if self.is_web else 'bucket'}; write {protocol}://NAME/…")
        if any(part == ".." for part in self._path.split("/")):
            raise ValueError(f"{shown} has a part `..`; write the path without it")

    @property
    def protocol(self) -> str:
        """The protocol, in lower case."""
        return self.full.partition("://")[0].lower()

    @property
    def is_web(self) -> bool:
        """Whether it is on the web, where anybody may have put it."""
        return self.protocol in WEB_PROTOCOLS

    @property
    def keeps_state(self) -> bool:
        """Whether several processes can agree on work there."""
        return self.protocol in STATE_PROTOCOLS

    @property
    def name(self) -> str:
        """The last part of its path."""
        name = self._path.rstrip("/").rpartition("/")[2]
        return unquote(name) if self.is_web else name

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot; empty if it has none."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "Url":
        """The prefix that holds it."""
        return Url(self._path.rstrip("/").rpartition("/")[0])

    @property
    def _path(self) -> str:
        """All but the query, which only URLs on the web have."""
        return self.full.partition("?")[0].partition("#")[0] if self.is_web else self.full

    def __truediv__(self, name: str) -> "Url":
        return Url(f"{self._path.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self._path


Location = Path | Url


def is_url(value: object) -> bool:
    """Whether a value is a URL, or a text that means one; `C://` does not, nor does `file:name`."""
    return isinstance(value, Url) or (isinstance(value, str) and _SHAPE.match(value) is not None)


def located(value: str | os.PathLike | Url) -> Location:
    """The path or the URL that a caller gave; `file://` is a path.

    Raises:
        ValueError: it is a URL that cannot be read.
    """
    if isinstance(value, Url) or not is_url(value):
        return value if isinstance(value, Url) else Path(value)
    text = str(value)
    if not text.lower().startswith("file://"):
        return Url(text)
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{_shown(text)} names another host; write file:///FOLDER/FILE")
    return Path(unquote(parts.path))


def _shown(text: str) -> str:
    """A URL for an error, without passwords and signatures."""
    shown = re.sub(r"//[^/@]*@", "//…@", text.partition("?")[0])
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 1]}…"
