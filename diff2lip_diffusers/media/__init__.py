"""Media files: reads and writes frames and audio."""

from .reader import read_audio

__all__ = ["read_audio"]
