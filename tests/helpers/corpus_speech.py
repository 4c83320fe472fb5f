"""Shared by the tests of the corpus's speech: whether espeak-ng is here, and utterances made by hand."""

import numpy as np
import pytest

from diff2lip_diffusers.corpus import espeak_process
from diff2lip_diffusers.corpus.espeak import Phoneme, Utterance

needs_espeak = pytest.mark.skipif(
    espeak_process.load_library() is None, reason="needs the library espeak-ng: apt install espeak-ng"
)


def utterance_of(phonemes: list[tuple[str, float]], samples=None, sampling_rate: int = 8000) -> Utterance:
    """An utterance of (symbol, seconds) one after the other, equally loud throughout unless samples are given."""
    edges = np.cumsum([0.0, *(seconds for _, seconds in phonemes)])
    spoken = zip(edges, edges[1:], phonemes, strict=False)
    if samples is None:
        samples = np.full(round(edges[-1] * sampling_rate), 0.3, np.float32)
    return Utterance(samples, sampling_rate, tuple(Phoneme(start, end, symbol) for start, end, (symbol, _) in spoken))
