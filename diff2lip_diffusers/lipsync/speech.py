"""Computes the mel spectrogram of a speech recording of any length, a few seconds at a time.

Letters in shapes: C channels, T samples, M mel steps.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ..errors import AudioTooShortError, MediaError
from ..media.reader import INT16_STEPS
from ..media.streams import audio_blocks, audio_stream, open_input
from ..portable.feature_extraction_diff2lip import Diff2LipFeatureExtractor
from ..portable.resampling_diff2lip import resample

MIN_AUDIO_S = Fraction(1, 5)
CHUNK_S = 10


@dataclass(frozen=True)
class Speech:
    """A speech recording as the model takes it.

    Attributes:
        mel: mel spectrogram (80, M) float32 in [-4, 4].
        duration_s: length of the recording in seconds.
    """

    mel: torch.Tensor
    duration_s: Fraction


@dataclass(frozen=True)
class _Chunk:
    """A piece of audio, with the neighboring audio that its outermost mel steps depend on.

    Args:
        samples: (T,) float32.
        before: how many of them belong to the chunk before.
        after: how many belong to the chunk after; 0 for the last chunk.
    """

    samples: np.ndarray
    before: int
    after: int

    @property
    def own_samples(self) -> int:
        return len(self.samples) - self.before - self.after


def read_speech(path: str | Path, feature_extractor: Diff2LipFeatureExtractor, max_s: float = math.inf) -> Speech:
    """Reads a file's speech; equal to the mel spectrogram of [`read_audio`]'s result, without holding the audio.

    Args:
        path: audio or video file.
        feature_extractor: turns audio into mel steps.
        max_s: longest recording in seconds.

    Raises:
        MediaError: the file is missing, is not a media file, none of its audio can be decoded, or it lasts longer.
        NoAudioError: it has no audio stream.
        AudioTooShortError: there is less than 0.2 s of audio.
    """
    with open_input(path) as container:
        stream = audio_stream(container, path)
        sampling_rate = stream.codec_context.sample_rate
        blocks = audio_blocks(container, stream, path, "s16", sampling_rate)
        try:
            return speech_from_blocks(_limited(blocks, max_s, sampling_rate, path), sampling_rate, feature_extractor)
        except AudioTooShortError as error:
            raise AudioTooShortError(error.have_s, error.need_s, path) from None


def _limited(blocks: Iterable[np.ndarray], max_s: float, sampling_rate: int, path: str | Path) -> Iterator[np.ndarray]:
    """Yields blocks of audio as long as they last at most `max_s`."""
    samples = 0
    for block in blocks:
        samples += block.shape[1]
        if samples > max_s * sampling_rate:
            limit = f"the limit of {max_s:g} s"
            raise MediaError(path, f"its audio is longer than {limit}; cut it, or raise the limit (--max-duration)")
        yield block


def check_speech(path: str | Path) -> None:
    """Makes sure that a file has enough audio; decodes only its beginning.

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
    """Computes the speech of audio in blocks; equal to the mel spectrogram of the joined blocks.

    Args:
        blocks: (C, T) int16 each, of any lengths; channels are averaged.
        sampling_rate: of the blocks, in Hz.
        feature_extractor: turns audio into mel steps.

    Raises:
        AudioTooShortError: there is less than 0.2 s of audio.
    """
    margin_s = _whole_steps_s(feature_extractor)
    chunk_s = margin_s * math.ceil(CHUNK_S / margin_s)
    pieces, duration_s = [], Fraction(0)
    for chunk in _chunks(_mono(blocks, sampling_rate), chunk_s * sampling_rate, margin_s * sampling_rate):
        duration_s += Fraction(chunk.own_samples, sampling_rate)
        if duration_s < MIN_AUDIO_S:  # then there is only this chunk
            raise AudioTooShortError(float(duration_s), float(MIN_AUDIO_S))
        pieces.append(_own_mel(chunk, sampling_rate, feature_extractor))
    return Speech(torch.cat(pieces, dim=1), duration_s)


def resampled_blocks(blocks: Iterable[np.ndarray], sampling_rate: int, to_hz: int) -> Iterator[np.ndarray]:
    """Resamples the mean over channels of audio in blocks; equal to resampling the joined blocks.

    Args:
        blocks: (C, T) int16 each, of any lengths.
        sampling_rate: of the blocks, in Hz.
        to_hz: the new sampling rate, in Hz.

    Yields:
        (T,) float32, about in [-1, 1).
    """
    # Whole seconds fall on a sample at both rates, and a margin of one is far beyond the filter's reach of 6 ms.
    for chunk in _chunks(_mono(blocks, sampling_rate), CHUNK_S * sampling_rate, sampling_rate):
        before = chunk.before * to_hz // sampling_rate
        count = -(-chunk.own_samples * to_hz // sampling_rate)
        if count:
            yield resample(torch.from_numpy(chunk.samples), sampling_rate, to_hz)[before : before + count].numpy()


def _whole_steps_s(feature_extractor: Diff2LipFeatureExtractor) -> int:
    """The smallest number of whole seconds with a whole number of mel steps: 1 s.

    Borders at its multiples fall on a sample at every sampling rate, and on a mel step. So a chunk's samples, also
    after resampling, and its steps are exactly those of the whole recording. A margin of this length is far beyond the
    reach of a step: half a Fourier window (25 ms) and half a resampling filter (6 ms).
    """
    return feature_extractor.hop_length // math.gcd(feature_extractor.sampling_rate, feature_extractor.hop_length)


def _mono(blocks: Iterable[np.ndarray], max_samples: int) -> Iterator[np.ndarray]:
    """Yields the mean over channels, float32 in [-1, 1), in pieces of at most that many samples."""
    for block in blocks:
        for start in range(0, block.shape[1], max_samples):
            yield block[:, start : start + max_samples].mean(axis=0, dtype=np.float32) / np.float32(INT16_STEPS)


def _chunks(pieces: Iterable[np.ndarray], size: int, margin: int) -> Iterator[_Chunk]:
    """Yields chunks of `size` own samples; the last one, always yielded, has what is left, at most a margin more."""
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
    """The mel steps of a chunk, without those of its margins."""
    before, after = (
        side // sampling_rate * feature_extractor.sampling_rate // feature_extractor.hop_length
        for side in (chunk.before, chunk.after)
    )
    mel = feature_extractor.mel_spectrogram(chunk.samples, sampling_rate)
    # The spectrogram has one step more, at the chunk's end: it is the first one of the next chunk.
    return mel[:, before : mel.shape[1] - (after + 1 if after else 0)].clone()
