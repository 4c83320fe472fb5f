"""The command line: `diff2lip` and its commands, one file each."""

from .program import main

__all__ = ["main"]
