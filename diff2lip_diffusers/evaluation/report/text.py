"""Text for a page: names are shown as they are, never run."""

import html


def shown(text: object) -> str:
    """Returns text in one line, with signs that cannot be printed or stored as UTF-8 replaced."""
    line = " ".join(str(text).encode("utf-8", "replace").decode("utf-8").split())
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def escaped(text: object) -> str:
    """Returns text for HTML, also inside of quoted attributes."""
    return html.escape(shown(text), quote=True)


def number(value: float) -> str:
    """Returns a number with four digits."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}") if abs(value) < 1e15 else f"{value:.3e}"
