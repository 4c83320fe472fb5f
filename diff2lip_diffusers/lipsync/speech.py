"""A recording of any length to its mel spectrogram, a few seconds at a time.

Letters in shapes: C channels, T samples, M mel steps.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..errors import AudioTooShortError
from ..feature_extraction_diff2lip import Diff2LipFeatureExtractor, resample
from ..media.reader import INT16_STEPS
from ..media.streams import audio_blocks, audio_stream, open_input

MIN_AUDIO_S = Fraction(1, 5)
CHUNK_S = 10


@dataclass(frozen=True)
class Speech:
    """What the model hears of a recording.

    Attributes:
        mel: mel spectrogram (80, M) float32 in [-4, 4].
        duration_s: length of the recording in seconds.
    """

    mel: torch.Tensor
    duration_s: Fraction


@dataclass(frozen=True)
class _Chunk:
    """A stretch of sound, with the neighbouring sound that its outermost mel steps look at.

    Args:
        samples: (T,) float32.
        before: how many of them belong to the chunk in front.
        after: how many belong to the chunk behind; 0 for the last chunk.
    """

    samples: np.ndarray
    before: int
    after: int

    @property
    def own_samples(self) -> int:
        return len(self.samples) - self.before - self.after


def read_speech(path: str | Path, feature_extractor: Diff2LipFeatureExtractor) -> Speech:
    """The mel spectrogram of a file's sound, equal to that of [`read_audio`]'s result, without holding the sound.

    Args:
        path: sound or video file.
        feature_extractor: turns sound into mel steps.

    Raises:
        MediaError: the file is missing, is not a media file, or none of its sound can be decoded.
        NoAudioError: it has no audio stream.
        AudioTooShortError: there is less than 0.2 s of sound.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path)
        sampling_rate = stream.codec_context.sample_rate
        blocks = audio_blocks(container, stream, path, "s16", sampling_rate)
        try:
            return speech_from_blocks(blocks, sampling_rate, feature_extractor)
        except AudioTooShortError as error:
            raise AudioTooShortError(error.have_s, error.need_s, path) from None


def check_speech(path: str | Path) -> None:
    """Finds out before the work whether a file has sound enough; decodes its beginning.

    Raises:
        MediaError, NoAudioError, AudioTooShortError: as `read_speech`.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path)
        sampling_rate, samples = stream.codec_context.sample_rate, 0
        for block in audio_blocks(container, stream, path, "s16", sampling_rate):
            samples += block.shape[1]
            if samples >= MIN_AUDIO_S * sampling_rate:
                return
    raise AudioTooShortError(samples / sampling_rate, float(MIN_AUDIO_S), path)


def speech_from_blocks(
    blocks: Iterable[np.ndarray], sampling_rate: int, feature_extractor: Diff2LipFeatureExtractor
) -> Speech:
    """The mel spectrogram of sound that comes in blocks, equal to that of the joined blocks.

    Args:
        blocks: (C, T) int16 each, of any lengths; channels are averaged.
        sampling_rate: of the blocks, in Hz.
        feature_extractor: turns sound into mel steps.

    Raises:
        AudioTooShortError: there is less than 0.2 s of sound.
    """
    margin_s = _whole_steps_s(feature_extractor)
    chunk_s = margin_s * math.ceil(CHUNK_S / margin_s)
    pieces, duration_s = [], Fraction(0)
    for chunk in _chunks(_mono(blocks, sampling_rate), chunk_s * sampling_rate, margin_s * sampling_rate):
        duration_s += Fraction(chunk.own_samples, sampling_rate)
        if duration_s < MIN_AUDIO_S:  # so this first chunk is the last one, too
            raise AudioTooShortError(float(duration_s), float(MIN_AUDIO_S))
        pieces.append(_own_mel(chunk, sampling_rate, feature_extractor))
    return Speech(torch.cat(pieces, dim=1), duration_s)


def resampled_blocks(blocks: Iterable[np.ndarray], sampling_rate: int, to_hz: int) -> Iterator[np.ndarray]:
    """The mean over channels of sound that comes in blocks, at another rate; equal to resampling the joined blocks.

    Args:
        blocks: (C, T) int16 each, of any lengths.
        sampling_rate: of the blocks, in Hz.
        to_hz: the wanted sampling rate.

    Yields:
        (T,) float32, about in [-1, 1).
    """
    # Whole seconds fall on a sample of either rate, and a margin of one is far beyond the filter's reach of 6 ms.
    for chunk in _chunks(_mono(blocks, sampling_rate), CHUNK_S * sampling_rate, sampling_rate):
        before = chunk.before * to_hz // sampling_rate
        count = -(-chunk.own_samples * to_hz // sampling_rate)
        if count:
            yield resample(torch.from_numpy(chunk.samples), sampling_rate, to_hz)[before : before + count].numpy()


def _whole_steps_s(feature_extractor: Diff2LipFeatureExtractor) -> int:
    """The least whole seconds with a whole number of mel steps: 1 s.

    Borders at multiples of it fall on a sample of every sampling rate and on a mel step, so a chunk's samples, after
    resampling too, and its steps are exactly those of the whole. A margin of as much is far beyond what a step hears
    of its surroundings: half a Fourier window (25 ms) and half a resampling filter (6 ms).
    """
    return feature_extractor.hop_length // math.gcd(feature_extractor.sampling_rate, feature_extractor.hop_length)


def _mono(blocks: Iterable[np.ndarray], most: int) -> Iterator[np.ndarray]:
    """The mean over channels, float32 in [-1, 1), in pieces of at most that many samples."""
    for block in blocks:
        for start in range(0, block.shape[1], most):
            yield block[:, start : start + most].mean(axis=0, dtype=np.float32) / np.float32(INT16_STEPS)


def _chunks(pieces: Iterable[np.ndarray], size: int, margin: int) -> Iterator[_Chunk]:
    """Chunks of `size` own samples; the last one, which there always is, has up to a margin more or what is left."""
    waiting, count, before = [], 0, 0
    for piece in pieces:
        waiting.append(piece)
        count += len(piece)
        while count >= before + size + margin:
            samples = np.concatenate(waiting)
            yield _Chunk(samples[: before + size + margin], before, margin)
            waiting, before = [samples[before + size - margin :].copy()], margin
            count = len(waiting[0])
    yield _Chunk(np.concatenate([np.zeros(0, np.float32), *waiting]), before, 0)


def _own_mel(chunk: _Chunk, sampling_rate: int, feature_extractor: Diff2LipFeatureExtractor) -> torch.Tensor:
    """The mel steps of a chunk without those of its margins."""
    before, after = (
        side // sampling_rate * feature_extractor.sampling_rate // feature_extractor.hop_length
        for side in (chunk.before, chunk.after)
    )
    mel = feature_extractor.mel_spectrogram(chunk.samples, sampling_rate)
    # One step more than the chunk is long stands on its end: it is the next chunk's first.
    return mel[:, before : mel.shape[1] - (after + 1 if after else 0)].clone()
