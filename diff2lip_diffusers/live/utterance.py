"""An utterance: speech that arrives without a gap, its sound and its mel windows frame by frame."""

import math
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
import torch


class Utterance:
    """Speech from its first sample to its end.

    Args:
        feature_extractor: of the pipeline.
        sampling_rate: of the speech, in Hz.
        fps: frames per second.

    Attributes:
        next_frame: number of the frame whose window is taken next.
        is_finished: whether no more of it comes.
        is_segment: whether the caller said where it ends.
    """

    def __init__(self, feature_extractor: Any, sampling_rate: int, fps: Fraction):
        self.sampling_rate, self.fps = sampling_rate, fps
        self.next_frame = 0
        self.is_segment = self.is_finished = False
        self._stream = feature_extractor.stream(sampling_rate, fps)
        self._num_samples = 0
        self._unfed: deque[torch.Tensor] = deque()  # what the stream has not seen, so that long chunks cost no more
        self._unheard: deque[torch.Tensor] = deque()
        self._arrivals: deque[tuple[int, float]] = deque()  # end of a chunk, and when it came
        self._begun_s: float | None = None

    @property
    def duration_s(self) -> Fraction:
        """Its length so far, in seconds."""
        return Fraction(self._num_samples, self.sampling_rate)

    @property
    def waiting_s(self) -> float:
        """How much of it waits, in seconds."""
        return max(0.0, float(self.duration_s - self.next_frame / self.fps))

    def push(self, samples: torch.Tensor, now: float) -> None:
        """Appends sound (T,) float32."""
        self._num_samples += len(samples)
        self._unfed.append(samples)
        self._unheard.append(samples)
        self._arrivals.append((self._num_samples, now))

    def finish(self) -> None:
        """Says that no more of it comes."""
        self.is_finished = True

    def is_ready(self) -> bool:
        """Whether the window of the next frame is there."""
        if self.is_over():
            return False
        while not self._stream.is_ready(self.next_frame) and self._unfed:
            for piece in taken_from(self._unfed, math.ceil(self.sampling_rate / self.fps)):
                self._stream.push(piece)
        if self.is_finished and not self._unfed and not self._stream.is_finished:
            self._stream.finish()
        return self._stream.is_ready(self.next_frame)

    def is_over(self) -> bool:
        """Whether it is finished and has no further frame."""
        return self.is_finished and self.next_frame >= self.duration_s * self.fps

    def take(self, not_before_s: float) -> tuple[torch.Tensor, np.ndarray, float]:
        """The next frame's mel window (80, 16), its sound (T,) float32, and since when it could be spoken.

        That is when its sound began to arrive; for sound that came faster than it is spoken, when its turn came.

        Args:
            not_before_s: when the turn of this utterance came, in seconds of the engine's clock.
        """
        frame = self.next_frame
        window = self._stream.window(frame)
        start, end = (math.floor(number * self.sampling_rate / self.fps) for number in (frame, frame + 1))
        self.next_frame += 1
        arrival = self._arrival_of(start)
        if self._begun_s is None:
            self._begun_s = max(arrival, not_before_s)
        return window, self._sound(end - start), max(arrival, self._begun_s + float(frame / self.fps))

    def _arrival_of(self, sample: int) -> float:
        while len(self._arrivals) > 1 and self._arrivals[0][0] <= sample:
            self._arrivals.popleft()
        return self._arrivals[0][1]

    def _sound(self, count: int) -> np.ndarray:
        pieces = [piece.numpy() for piece in taken_from(self._unheard, count)]
        return np.concatenate([*pieces, np.zeros(count - sum(map(len, pieces)), np.float32)])


def taken_from(chunks: deque[torch.Tensor], count: int) -> list[torch.Tensor]:
    """Takes so many samples out of chunks, fewer at their end; what is left of a chunk stays."""
    taken = []
    while count and chunks:
        chunk = chunks.popleft()
        taken.append(chunk[:count])
        if len(chunk) > count:
            chunks.appendleft(chunk[count:])
        count -= len(taken[-1])
    return taken
