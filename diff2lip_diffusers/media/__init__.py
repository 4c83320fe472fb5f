"""Media files: frames and audio in and out."""

from .reader import read_audio

__all__ = ["read_audio"]
