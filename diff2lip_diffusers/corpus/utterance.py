"""Draws the speech of a corpus clip from a seed, with the mouth parameters that belong to it."""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..portable.resampling_diff2lip import resample
from .acoustics import degrade
from .espeak import Utterance, speak
from .mouth_curve import mouth_curve
from .nonsense import draw_nonsense
from .sentences import check_split, draw_sentence
from .voices import Voice, draw_voice

SAMPLING_RATE = 16000
SILENCES_S = (0.15, 0.5)
DURATIONS_S = (2.5, 5.0)
MAX_DRAWS = 20


@dataclass(frozen=True)
class SpokenClip:
    """A spoken sentence.

    Attributes:
        samples: (T,) float32 in [-1, 1], with silence before and after the speech.
        sampling_rate: 16000 Hz.
        text: the sentence.
        voice: the speaker.
        utterance: the clean speech and its phonemes, without the silence.
        lead_in_s: silence before the speech.
    """

    samples: np.ndarray
    sampling_rate: int
    text: str
    voice: Voice
    utterance: Utterance
    lead_in_s: float

    @property
    def language(self) -> str:
        return self.voice.language

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sampling_rate

    def mouth_at(self, times_s: np.ndarray) -> np.ndarray:
        """Mouth parameters (N, 6) at times (N,) in seconds from the start of the clip, as in `mouth_curve`."""
        return mouth_curve(self.utterance, np.asarray(times_s, dtype=np.float64) - self.lead_in_s)


def draw_utterance(seed: int, split: str, nonsense: bool = False) -> SpokenClip:
    """Draws the clip of a seed, always the same: voice, sentence, silences and room acoustics.

    Args:
        seed: 0 or more.
        split: `"train"` or `"test"`, which share no sentence and no speaker.
        nonsense: uses meaningless words instead of a sentence.

    Raises:
        ValueError: if `seed` is negative or `split` is unknown.
        EspeakError: if espeak-ng is not installed.
    """
    check_split(split)
    if seed < 0:
        raise ValueError(f"`seed` is {seed}, expected 0 or more")
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    voice = draw_voice(rng, split)
    silences_s = rng.uniform(*SILENCES_S, 2)
    text, utterance = _draw_speech(rng, voice, split, nonsense, float(silences_s.sum()))
    clean = with_silence(utterance, text, voice, *silences_s)
    return replace(clean, samples=degrade(clean.samples, SAMPLING_RATE, rng))


def with_silence(utterance: Utterance, text: str, voice: Voice, lead_in_s: float, tail_s: float) -> SpokenClip:
    """Makes a clip of an utterance, with silence before and after it, in seconds."""
    speech = resample(torch.from_numpy(utterance.samples), utterance.sampling_rate, SAMPLING_RATE).numpy()
    before, after = (np.zeros(round(side_s * SAMPLING_RATE), np.float32) for side_s in (lead_in_s, tail_s))
    samples = np.concatenate([before, speech, after])
    return SpokenClip(samples, SAMPLING_RATE, text, voice, utterance, len(before) / SAMPLING_RATE)


def _draw_speech(
    rng: np.random.Generator, voice: Voice, split: str, nonsense: bool, silence_s: float
) -> tuple[str, Utterance]:
    """Draws sentences until one fits `DURATIONS_S`; after `MAX_DRAWS`, takes the one that fits best."""
    shortest_s, longest_s = (duration_s - silence_s for duration_s in DURATIONS_S)
    drawn = []
    for _ in range(MAX_DRAWS):
        text = draw_nonsense(rng, voice.language) if nonsense else draw_sentence(rng, voice.language, split)
        utterance = speak(text, voice.accent, voice.rate_wpm, voice.pitch, voice.variant)
        miss_s = max(shortest_s - utterance.duration_s, utterance.duration_s - longest_s, 0.0)
        drawn.append((miss_s, text, utterance))
        if not miss_s:
            break
    return min(drawn, key=lambda one: one[0])[1:]
