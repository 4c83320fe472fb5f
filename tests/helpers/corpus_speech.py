"""For tests of the corpus's speech: whether espeak-ng is installed, and utterances made by hand."""

import numpy as np
import pytest

from diff2lip_diffusers.corpus.espeak import INSTALL, Phoneme, Utterance, find_package
from diff2lip_diffusers.corpus.espeak_process import load_library

HAS_ESPEAK = bool(load_library(find_package()[0]) or load_library())
needs_espeak = pytest.mark.skipif(not HAS_ESPEAK, reason=f"needs espeak-ng: {INSTALL}")


def utterance_of(phonemes: list[tuple[str, float]], samples=None, sampling_rate: int = 8000) -> Utterance:
    """An utterance of (symbol, seconds) one after the other, equally loud throughout unless samples are given."""
    edges = np.cumsum([0.0, *(seconds for _, seconds in phonemes)])
    spoken = zip(edges, edges[1:], phonemes, strict=False)
    if samples is None:
        samples = np.full(round(edges[-1] * sampling_rate), 0.3, np.float32)
    return Utterance(samples, sampling_rate, tuple(Phoneme(start, end, symbol) for start, end, (symbol, _) in spoken))
