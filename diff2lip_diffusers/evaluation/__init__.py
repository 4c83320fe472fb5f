"""Measures how well generated mouths follow the speech."""
