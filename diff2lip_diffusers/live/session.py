"""A session: speech goes in, frames come out at a steady rate, each with its sound.

Time is cut in ticks of one frame. Frames of speech are planned for ticks when the speech they need is there, painted
ahead of them, and taken when they are due. Between them the face rests. A frame that is not painted in time shows the
picture before it again, with its own sound: sound and picture never drift apart.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from ..errors import Diff2LipError
from .clock import Clock
from .live_frame import LiveFrame, Planned
from .measures import Counters, LiveStats
from .refusals import QueueFullError
from .rest_gate import RestGate
from .shown_frame import FrameSource
from .utterance import Utterance

# Frames that are painted ahead of their time, at most.
AHEAD_TICKS = 8
# A reader that comes later than this loses the frames of the meantime, with their sound.
MAX_LATE_S = 0.25
# After so many late frames, speech pauses until there is time for painting again; four that are not make up for one.
MOST_LATE_FRAMES, LATE_BY_TIMELY = 5, 0.25
# Speech that ends without a word is over after this time without more of it.
STARVED_S = 0.25
# Sampling rates of speech: those in use are multiples of 25 Hz. Others would need huge resampling filters.
LOWEST_HZ, HIGHEST_HZ, RATE_STEP_HZ = 8000, 192_000, 25
DEFAULT_HZ = 16000


class LiveSession:
    """One face that speaks. Made by [`LiveLipSync.open_session`]; any thread may use it.

    Args:
        engine: that paints it: its `lock`, `wake`, `clock`, `fps`, `lead_s`, `paint_s`, `failure` and
            `close_session` are used.
        source: the frames.
        feature_extractor: of the pipeline.
        max_queue_s: most speech that may wait.
        max_delay_s: speech that waits longer is left out, oldest first, for a live source; None keeps all.
        rests: whether the mouth rests in pauses of the speech without being painted.
        sharpener: adds detail to painted mouths; None adds none.
    """

    def __init__(
        self,
        engine: Any,
        source: FrameSource,
        feature_extractor: Any,
        max_queue_s: float = 120.0,
        max_delay_s: float | None = None,
        rests: bool = True,
        sharpener: Any = None,
    ):
        self.source, self.max_queue_s, self.max_delay_s, self.rests = source, max_queue_s, max_delay_s, rests
        self.sharpener = sharpener
        self._engine, self._extractor = engine, feature_extractor
        self._lock = engine.lock
        self._clock: Clock = engine.clock
        self._fps: Fraction = engine.fps
        self._wake: Callable[[], None] = engine.wake
        self._start = self._last_push = self._clock.now()
        self._utterances: deque[Utterance] = deque()
        self._gate = RestGate(float(self._fps))
        self._planned: dict[int, Planned] = {}
        self._ends: set[int] = set()
        self._next_tick = 0
        self._planned_until = 0
        self._sampling_rate = DEFAULT_HZ
        self._held: np.ndarray | None = None
        self._is_fresh = True
        self._late_frames = 0.0
        self._turn_s = -math.inf  # when the speech that is planned next could be spoken
        self._interrupted_s: float | None = None  # until the mouth rests
        self._counters = Counters()
        self.is_open = True

    # What the caller does.

    def push_audio(self, samples: Any, sampling_rate: int) -> None:
        """Appends speech to what the face says.

        Args:
            samples: (T,), (T, C) or (C, T), of any length: floats in [-1, 1] or full-scale integers.
            sampling_rate: in Hz, a multiple of 25 from 8,000 to 192,000.

        Raises:
            ValueError: if the samples have another shape or are not finite, or for another rate.
            QueueFullError: if more than `max_queue_s` would wait; nothing was taken then.
        """
        if sampling_rate is None:
            raise ValueError("`sampling_rate` is missing: give that of the samples, in Hz")
        rate = self._extractor.checked_rate(sampling_rate)
        if rate % RATE_STEP_HZ or not LOWEST_HZ <= rate <= HIGHEST_HZ:
            raise ValueError(f"`sampling_rate` is {rate}, expected a multiple of 25 from 8000 to 192000 Hz")
        if not (samples.numel() if torch.is_tensor(samples) else np.size(samples)):
            return
        mono, now = self._extractor.to_mono(samples).clone(), self._clock.now()
        with self._lock:
            self._check_open()
            if self.queued_s + len(mono) / rate > self.max_queue_s:
                raise QueueFullError(self.queued_s, self.max_queue_s)
            last = self._utterances[-1] if self._utterances else None
            if last is None or last.is_finished or last.sampling_rate != rate:
                if last is not None:
                    last.finish()
                last = Utterance(self._extractor, rate, self._fps)
                self._utterances.append(last)
            self._last_push = now
            last.push(mono, now)
        self._wake()

    def flush(self) -> None:
        """Says that a segment of speech is complete: its last frames need not wait for more.

        The frame with `ends_segment` follows its last frame.
        """
        with self._lock:
            self._check_open()
            if not self._utterances or self._utterances[-1].is_segment:
                self._utterances.append(Utterance(self._extractor, self._sampling_rate, self._fps))
            self._utterances[-1].finish()
            self._utterances[-1].is_segment = True
        self._wake()

    def interrupt(self) -> None:
        """Forgets all speech that was not given out; the mouth rests from the next frame on."""
        with self._lock:
            self._utterances.clear()
            self._planned.clear()
            self._ends.clear()
            self._planned_until = self._next_tick
            self._held = None
            self._turn_s = -math.inf
            self._is_fresh = True
            self._interrupted_s = self._clock.now()

    def take(self) -> LiveFrame | None:
        """The next frame if it is due, else None; never waits.

        Raises:
            ValueError: if the session is closed.
            Diff2LipError: if painting has failed.
        """
        with self._lock:
            self._check_open()
            now = self._clock.now()
            due = self._due_tick(now)
            if due < self._next_tick:
                return None
            self._expire(due)
            tick = self._next_tick
            self._next_tick += 1
            frame = self._frame_at(tick, now)
        self._wake()
        return frame

    @property
    def wait_s(self) -> float:
        """Seconds until the next frame is due; 0 if one is."""
        with self._lock:
            return max(0.0, self._time_of(self._next_tick) - self._clock.now())

    @property
    def queued_s(self) -> float:
        """Speech that waits to be planned, in seconds."""
        with self._lock:
            return sum(utterance.waiting_s for utterance in self._utterances)

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self._fps

    @property
    def started_s(self) -> float:
        """When the session began, by the engine's clock."""
        return self._start

    @property
    def is_speaking(self) -> bool:
        """Whether speech waits or is being spoken, or the end of a segment was not given out."""
        with self._lock:
            return bool(self._utterances or self._planned or self._ends)

    @property
    def lookahead_s(self) -> float:
        """How far behind the start of a frame its speech reaches at most, in seconds."""
        return self._extractor.stream(self._sampling_rate, self._fps).lookahead_s

    @property
    def stats(self) -> LiveStats:
        """What was measured so far."""
        with self._lock:
            passed_s = self._clock.now() - self._start
            return self._counters.stats(passed_s, self._fps, self.queued_s, self._engine.paint_s)

    def close(self) -> None:
        """Ends the session; its place is free. Can be called again."""
        with self._lock:
            self.is_open = False
            self._utterances.clear()
            self._planned.clear()
        self._engine.close_session(self)

    def __enter__(self) -> "LiveSession":
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    # What the engine does, holding the lock.

    def plan(self) -> list[Planned]:
        """Plans frames as far as the speech goes; returns those that are to be painted, in order."""
        now = self._clock.now()
        due = self._due_tick(now)
        self._expire(due)
        self._catch_up()
        for tick in range(self._next_tick, self._first_paintable(now) + 1):
            self.source.at(tick)
        while self._utterances and self._planned_until <= due + AHEAD_TICKS:
            if not self._plan_next(now, due):
                break
        unpainted = [frame for frame in self._planned.values() if frame.picture is None and not frame.is_taken]
        waiting = [frame for frame in unpainted if frame.window is not None and frame.tick > due]
        # One that would come too late would only keep the painter from the next.
        return [frame for frame in waiting if self._time_of(frame.tick) >= now + self._engine.paint_s] or waiting[-1:]

    def deliver(self, frame: Planned, picture: np.ndarray) -> None:
        """Takes a painted frame, unless the session was interrupted in the meantime."""
        frame.picture = picture

    def _plan_next(self, now: float, due: int) -> bool:
        """Plans the next frame of speech; returns whether there may be more."""
        utterance = self._utterances[0]
        if utterance.is_over():
            if utterance.is_segment:
                self._ends.add(max(self._planned_until, self._next_tick))
            self._utterances.popleft()
            return True
        if not utterance.is_ready():
            if now - self._last_push >= STARVED_S and len(self._utterances) == 1:
                utterance.finish()
            elif len(self._utterances) > 1:
                utterance.finish()
            return utterance.is_finished
        tick = self._planned_until
        if tick < self._next_tick or tick <= due or self._is_behind:  # time to paint the first frame after a pause
            tick = max(tick, self._next_tick, self._first_paintable(now))
            self._is_fresh |= tick > self._planned_until
            self._late_frames = 0.0
        window, sound, arrival_s = self._take(utterance)
        shown = self.source.at(tick)
        wanted = None if shown.crop is None else self._with_rest(window)
        planned = Planned(tick, shown, wanted, sound, utterance.sampling_rate, arrival_s, self._is_fresh)
        self._planned[tick] = planned
        self._is_fresh = False
        self._planned_until = tick + 1
        return True

    def _take(self, utterance: Utterance) -> tuple[torch.Tensor, np.ndarray, float]:
        window, sound, arrival_s = utterance.take(self._turn_s)
        self._turn_s = arrival_s + 1 / float(self._fps)
        return window, sound, arrival_s

    def _with_rest(self, window: torch.Tensor) -> torch.Tensor | None:
        """The window with the mouth resting in silence; None where it rests completely."""
        if not self.rests:
            return window
        share = self._gate.share(window)
        if share >= 1:
            return None
        silence = torch.full_like(window, float(self._extractor.padding_value))
        return torch.lerp(window, silence, share) if share else window

    def _catch_up(self) -> None:
        """Leaves out the oldest speech of a live source if too much waits."""
        if self.max_delay_s is None or len(self._utterances) == 0:
            return
        utterance = self._utterances[0]
        while self.queued_s > self.max_delay_s and utterance.is_ready():
            self._take(utterance)
            self._counters.skipped_speech_s += 1 / float(self._fps)

    def _frame_at(self, tick: int, now: float) -> LiveFrame:
        planned = self._planned.pop(tick, None)
        ends = tick in self._ends
        self._ends.discard(tick)
        time_s = float(tick / self._fps)
        if planned is None:
            rate = self._sampling_rate
            count = math.floor((tick + 1) * rate / self._fps) - math.floor(tick * rate / self._fps)
            frame = LiveFrame(tick, time_s, self.source.at(tick).at_rest(), np.zeros(count, np.float32), rate)
            self._held = None
            if self._interrupted_s is not None:
                self._counters.silenced_max_s = max(self._counters.silenced_max_s, now - self._interrupted_s)
                self._interrupted_s = None
        else:
            frame = self._spoken(planned, time_s, now)
        if ends:
            frame = replace(frame, ends_segment=True)
        self._counters.count(frame, now - self._time_of(tick))
        return frame

    def _spoken(self, planned: Planned, time_s: float, now: float) -> LiveFrame:
        picture, is_late = planned.picture, False
        if planned.window is None:
            picture = planned.shown.at_rest()
        elif picture is None:
            is_late = True
            picture = planned.shown.at_rest() if self._held is None else self._held
        self._late_frames = self._late_frames + 1 if is_late else max(0.0, self._late_frames - LATE_BY_TIMELY)
        self._held = picture
        self._sampling_rate = planned.sampling_rate
        rate, latency_s = planned.sampling_rate, now - planned.arrival_s
        return LiveFrame(planned.tick, time_s, picture, planned.sound, rate, True, is_late, latency_s=latency_s)

    def _expire(self, due: int) -> None:
        """Skips the frames that nobody read for too long."""
        if due - self._next_tick <= MAX_LATE_S * self._fps:
            return
        ended = False
        for tick in range(self._next_tick, due):
            self._planned.pop(tick, None)
            ended |= tick in self._ends
            self._ends.discard(tick)
        if ended:
            self._ends.add(due)
        self._counters.num_skipped += due - self._next_tick
        self._next_tick = due
        self._planned_until = max(self._planned_until, due)
        self._held = None

    def _first_paintable(self, now: float) -> int:
        """The first tick that leaves all the time for painting."""
        return math.ceil((now - self._start + self._engine.lead_s) * float(self._fps) - 1e-6)

    @property
    def _is_behind(self) -> bool:
        """Whether too many frames were late: they are planned too shortly before they are shown."""
        return self._late_frames >= MOST_LATE_FRAMES

    def _due_tick(self, now: float) -> int:
        return math.floor((now - self._start) * float(self._fps) + 1e-6)

    def _time_of(self, tick: int) -> float:
        return self._start + tick / float(self._fps)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ValueError("the session is closed; open a new one")
        if self._engine.failure is not None:
            raise Diff2LipError(f"the engine has stopped: {self._engine.failure}; make a new one")
