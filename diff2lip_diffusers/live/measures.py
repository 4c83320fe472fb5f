"""What an engine measures of itself, in constant memory: latency, jitter, drift, dropped frames."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .live_frame import LiveFrame

BIN_S, NUM_BINS = 0.001, 10_000


class Histogram:
    """Durations counted in bins of 1 ms, up to 10 s."""

    def __init__(self):
        self._counts = np.zeros(NUM_BINS, np.int64)

    def add(self, seconds: float) -> None:
        """Counts a duration."""
        self._counts[min(max(0, round(seconds / BIN_S)), NUM_BINS - 1)] += 1

    def quantile(self, share: float) -> float:
        """The duration in seconds that this share of all does not exceed; 0 while there is none."""
        total = self._counts.sum()
        if not total:
            return 0.0
        return float(np.searchsorted(np.cumsum(self._counts), share * total)) * BIN_S


@dataclass(frozen=True)
class LiveStats:
    """What happened in a session so far.

    Attributes:
        num_frames: frames given out.
        num_speech: those of them in which the face speaks.
        num_late: frames of speech that were not painted when they were read, at their time or after it; the picture
            before was shown again.
        num_skipped: frames that nobody read in time, with their sound.
        skipped_speech_s: speech that was left out to catch up with a live source, in seconds.
        latency_p50_s: time from a sound's arrival to its frame, median, in seconds. Speech that arrives faster than it
            is spoken is counted from when its turn came.
        latency_p99_s: the same, which 99 % of the frames do not exceed.
        jitter_p50_s: how long after their time frames were read, median, in seconds.
        jitter_p99_s: the same, which 99 % of the frames do not exceed.
        silenced_max_s: longest time from an interruption to the frame in which the mouth rests, in seconds; 0 while
            there was none.
        sound_ahead_s: length of all sound given out, less that of all pictures, in seconds.
        clock_drift_s: time that passed since the first frame, less the length of all frames, in seconds.
        queued_s: speech that waits, in seconds.
        paint_s: seconds that painting a batch took lately, in one thread.
    """

    num_frames: int
    num_speech: int
    num_late: int
    num_skipped: int
    skipped_speech_s: float
    latency_p50_s: float
    latency_p99_s: float
    jitter_p50_s: float
    jitter_p99_s: float
    silenced_max_s: float
    sound_ahead_s: float
    clock_drift_s: float
    queued_s: float
    paint_s: float


class Counters:
    """Counts the frames of a session.

    Attributes:
        num_skipped: frames that nobody read in time.
        skipped_speech_s: speech that was left out, in seconds.
        silenced_max_s: longest time from an interruption to the mouth's rest, in seconds.
    """

    def __init__(self):
        self.num_skipped, self.skipped_speech_s, self.silenced_max_s = 0, 0.0, 0.0
        self._latency, self._jitter = Histogram(), Histogram()
        self._num_frames = self._num_speech = self._num_late = 0
        self._sound_s = 0.0

    def count(self, frame: LiveFrame, lateness_s: float) -> None:
        """Counts a frame that is given out so long after its time."""
        self._num_frames += 1
        self._num_speech += frame.is_speech
        self._num_late += frame.is_late
        self._sound_s += len(frame.sound) / frame.sampling_rate
        self._jitter.add(lateness_s)
        if frame.latency_s is not None:
            self._latency.add(frame.latency_s)

    def stats(self, passed_s: float, fps: Fraction, queued_s: float, paint_s: float) -> LiveStats:
        """What was counted.

        Args:
            passed_s: since the first frame was due.
            fps: frames per second.
            queued_s: speech that waits.
            paint_s: seconds that painting a batch took.
        """
        length_s = float(self._num_frames / fps)
        return LiveStats(
            num_frames=self._num_frames,
            num_speech=self._num_speech,
            num_late=self._num_late,
            num_skipped=self.num_skipped,
            skipped_speech_s=self.skipped_speech_s,
            latency_p50_s=self._latency.quantile(0.5),
            latency_p99_s=self._latency.quantile(0.99),
            jitter_p50_s=self._jitter.quantile(0.5),
            jitter_p99_s=self._jitter.quantile(0.99),
            silenced_max_s=self.silenced_max_s,
            sound_ahead_s=self._sound_s - length_s,
            clock_drift_s=passed_s - length_s - float(self.num_skipped / fps),
            queued_s=queued_s,
            paint_s=paint_s,
        )
