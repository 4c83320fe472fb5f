"""A synthetic corpus: drawn talking faces with synthesized speech and the true mouth shape of every frame."""
