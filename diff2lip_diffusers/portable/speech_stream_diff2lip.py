"""Speech that arrives in chunks: gives each frame's mel window as soon as the audio for it is there."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch


class SpeechStream:
    """The mel windows of speech that arrives in chunks: bit for bit those of the whole recording.

    Memory does not grow: audio and mel steps that no later window needs are forgotten. Not thread-safe.

    Args:
        feature_extractor: a [`Diff2LipFeatureExtractor`] with the backend "torch".
        sampling_rate: of all chunks, in Hz; that of the feature extractor by default.
        fps: frames per second of the video; that of the feature extractor by default.

    Attributes:
        num_samples: samples pushed so far.
        is_finished: whether no more audio will come.

    Raises:
        ValueError: if a rate is not positive, or the backend is another one.
    """

    def __init__(self, feature_extractor: Any, sampling_rate: int | None = None, fps: float | Fraction | None = None):
        extractor = self.feature_extractor = feature_extractor
        self.sampling_rate = extractor.checked_rate(sampling_rate)
        if extractor.backend != "torch":
            raise ValueError(f"`feature_extractor.backend` is {extractor.backend!r}; only 'torch' can stream")
        self.steps_per_frame = extractor.steps_per_frame(extractor.fps if fps is None else fps)
        self.num_samples = 0
        self.is_finished = False
        self._resampling = _ChunkedResampling(extractor, self.sampling_rate)
        self._steps = _ChunkedMel(extractor)
        self._first_frame = 0

    @property
    def lookahead_s(self) -> float:
        """How far behind the start of a frame its audio reaches at most, in seconds.

        The window ends 0.16 s after the start of its frame. Its last mel step and the resampling need a little more;
        the first frame, whose window begins with it, needs the length of a frame more.
        """
        extractor = self.feature_extractor
        reach = (extractor.window_size - 1) * extractor.hop_length + extractor.n_fft // 2
        window_s = Fraction(reach, extractor.sampling_rate) - 1 / self._fps
        resampling = self._resampling.reach and self._resampling.reach + 1  # resampled values lie between samples
        return float(window_s + Fraction(resampling, self.sampling_rate))

    @property
    def num_frames(self) -> int:
        """How many frames have begun in the audio so far."""
        return math.ceil(self.num_samples * self._fps / self.sampling_rate)

    def push(self, chunk: np.ndarray | torch.Tensor | Sequence[float]) -> None:
        """Appends audio.

        Args:
            chunk: (T,), (T, C) or (C, T), floats in [-1, 1] or full-scale integers; T may be 0.

        Raises:
            ValueError: if it has another shape, is not finite, or comes after the end.
        """
        if self.is_finished:
            raise ValueError("`chunk` comes after the end of the speech; open a new stream")
        if not (chunk.numel() if torch.is_tensor(chunk) else np.size(chunk)):
            return
        samples = self.feature_extractor.to_mono(chunk)
        self._resampling.push(samples)
        self.num_samples += len(samples)

    def finish(self) -> None:
        """Says that no more audio comes; the windows of later frames are padded with silence."""
        self.is_finished = True

    def is_ready(self, frame: int) -> bool:
        """Whether the audio for a frame's window is there."""
        if self.is_finished:
            return True
        known = self._steps.count_known(self._resampling.count_known(self.num_samples))
        return self._start_of(frame) + self.feature_extractor.window_size <= known

    def window(self, frame: int) -> torch.Tensor:
        """Returns the mel window (80, 16) float32 of a frame; frames go forward.

        Raises:
            ValueError: if its audio is not there yet, or a later frame's window was taken before.
        """
        if frame < self._first_frame:
            raise ValueError(f"`frame` is {frame}, expected {self._first_frame} or later: windows go forward")
        if not self.is_ready(frame):
            raise ValueError(f"`frame` is {frame}, whose audio is not there yet; push more, or call finish()")
        self._first_frame = frame
        self._steps.push(self._resampling.pull(self.is_finished), self.is_finished)
        return self._steps.window(self._start_of(frame))

    def _start_of(self, frame: int) -> int:
        return int(self.steps_per_frame * max(frame - 1, 0))

    @property
    def _fps(self) -> Fraction:
        extractor = self.feature_extractor
        return Fraction(extractor.sampling_rate, extractor.hop_length) / self.steps_per_frame


class _ChunkedResampling:
    """Resamples chunks; each result is bit for bit that of the whole waveform.

    Attributes:
        reach: input samples behind a sample that its resampled value depends on.
    """

    def __init__(self, extractor: Any, sampling_rate: int):
        self.extractor, self.from_hz = extractor, sampling_rate
        self.reach = extractor.resampling_reach(sampling_rate)
        divisor = math.gcd(sampling_rate, extractor.sampling_rate)
        self.step, self.phases = sampling_rate // divisor, extractor.sampling_rate // divisor
        self._chunks: list[torch.Tensor] = []
        self._first = 0  # number of the first sample kept, a multiple of `step`, so that phases stay the same
        self._given = 0  # resampled values given out

    def push(self, samples: torch.Tensor) -> None:
        self._chunks.append(samples)

    def count_known(self, num_samples: int) -> int:
        """How many resampled values do not depend on samples after the first `num_samples`."""
        return -(-max(0, num_samples - self.reach) * self.phases // self.step)

    def pull(self, is_finished: bool) -> torch.Tensor:
        """Returns the values that are known by now and were not given before."""
        if not self._chunks:
            return torch.zeros(0)
        samples = torch.cat(self._chunks)
        end = self._first + len(samples)
        known = -(-end * self.phases // self.step) if is_finished else self.count_known(end)
        resampled = self.extractor.resample(samples, self.from_hz)
        start = self._first // self.step * self.phases
        values = resampled[self._given - start : known - start].clone()
        self._given = max(self._given, known)
        first = max(0, self._given * self.step // self.phases - self.reach) // self.step * self.step
        self._chunks = [samples[first - self._first :].clone()]
        self._first = first
        return values


class _ChunkedMel:
    """Computes mel steps of chunks, in the same blocks as the extractor does for a whole recording."""

    def __init__(self, extractor: Any):
        self.extractor = extractor
        self.block = extractor.mel_block_steps
        self.filters = extractor.mel_filters()
        self._samples = torch.zeros(0)
        self._first = 0  # number of the first sample kept
        self._mel = torch.zeros(extractor.feature_size, 0)
        self._first_step = 0  # number of the first mel step kept, a multiple of `block`
        self._complete = 0  # steps that are computed for good
        self._num_steps: int | None = None  # of the whole recording, when it is known

    def count_known(self, num_samples: int) -> int:
        """How many steps do not depend on samples after the first `num_samples`."""
        extractor = self.extractor
        return max(0, num_samples - extractor.n_fft // 2 + extractor.hop_length) // extractor.hop_length

    def push(self, samples: torch.Tensor, is_finished: bool) -> None:
        """Appends samples at the extractor's rate, and computes the steps that are known by now."""
        self._samples = torch.cat([self._samples, samples])
        end = self._first + len(self._samples)
        if is_finished:
            self._num_steps = 1 + end // self.extractor.hop_length if end else 0
        known = self.count_known(end) if self._num_steps is None else self._num_steps
        while self._complete < known:
            count = min(known - self._complete, self.block)
            self._append(self._block_at(self._complete, count))
            if count < self.block:
                break
            self._complete += count
        self._forget_samples()

    def window(self, start: int) -> torch.Tensor:
        """Returns a window from step `start` on, and forgets the blocks before it."""
        forgotten = min(start, self._complete) // self.block * self.block - self._first_step
        if forgotten > 0:
            self._mel = self._mel[:, forgotten:].clone()
            self._first_step += forgotten
        extractor = self.extractor
        window = self._mel[:, start - self._first_step :][:, : extractor.window_size]
        missing = extractor.window_size - window.shape[1]
        return torch.nn.functional.pad(window, (0, missing), value=extractor.padding_value).contiguous()

    def _append(self, steps: torch.Tensor) -> None:
        """Puts steps after the complete ones, in the place of those of an incomplete block."""
        self._mel = torch.cat([self._mel[:, : max(0, self._complete - self._first_step)], steps], dim=1)

    def _block_at(self, step: int, count: int) -> torch.Tensor:
        extractor = self.extractor
        start, end = (number * extractor.hop_length - extractor.n_fft // 2 for number in (step, step + count - 1))
        end += extractor.n_fft
        before = max(0, start - 1) - self._first
        samples = extractor.emphasized(self._samples[before : end - self._first])
        if start > 0:
            samples = samples[1:]  # its value before emphasis is the neighbor of the next one
        left = max(0, -start)
        samples = torch.nn.functional.pad(samples, (left, end - start - left - len(samples)))
        return extractor.mel_of_pieces(samples.unfold(0, extractor.n_fft, extractor.hop_length), self.filters)

    def _forget_samples(self) -> None:
        needed = max(0, self._complete * self.extractor.hop_length - self.extractor.n_fft // 2 - 1)
        self._samples = self._samples[needed - self._first :].clone() if needed > self._first else self._samples
        self._first = max(self._first, needed)
