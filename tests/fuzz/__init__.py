"""Feeds damaged and crafted files to the command line; see docs/reliability.md."""
