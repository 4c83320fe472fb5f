"""The engine: paints the frames of several sessions in one batch, in time."""

import logging
import threading
from contextlib import nullcontext
from fractions import Fraction

from ..errors import Diff2LipError
from ..lipsync.malloc_trim import trim_heap
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .capacity import Capacity, measure_capacity
from .clock import Clock, MonotonicClock
from .idle_clip import IdleClip
from .live_frame import Planned
from .painting import LivePainting, Painter
from .refusals import SessionRefusedError
from .session import LiveSession
from .shown_frame import FrameSource
from .workers import Turns, most_workers, start_workers

logger = logging.getLogger(__name__)

# Painters look for work at least this often.
IDLE_WAIT_S = 0.02
# A frame is planned so long before it is shown: as painting takes, and half as long again, within these limits.
LEAD_MARGIN, LEAST_LEAD_S, MOST_LEAD_S = 1.5, 0.08, 0.24
TRIM_BATCHES = 500


class LiveLipSync:
    """Makes faces speak while their speech arrives.

    Speech goes into sessions; frames with their sound come out at a steady rate. The window of a frame reaches 0.16 s
    into the speech after it: this is waited for, and is part of the latency.

    `start` paints in threads of its own; without it the caller calls `step`, for example in tests with a
    [`ManualClock`]. A context manager: starts and closes.

    Args:
        pipe: a [`Diff2LipPipeline`].
        source: the idle clip or camera of sessions that bring none.
        fps: frames per second; by default the highest up to 25 that the machine keeps.
        max_sessions: how many sessions may be open; by default as many as the machine carries.
        batch_size: faces painted at a time; by default as measured, else one with several workers, and `max_sessions`
            with one. The pictures do not depend on which sessions share a batch.
        settings: how mouths are painted.
        clock: the time; that of the machine by default.
        workers: threads that paint, each a batch of its own; by default as measured, else as many as torch has on a
            processor. Several compute on one core each.

    Attributes:
        fps: frames per second.
        capacity: what the machine carries; not measured if `fps` and `max_sessions` are given.

    Examples:

    ```py
    >>> with LiveLipSync(pipe, IdleClip(pipe, "listening.mp4")) as engine, engine.open_session() as session:
    ...     session.push_audio(samples, 16000)
    ...     frame = session.take()
    ```
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        source: FrameSource | None = None,
        fps: Fraction | float | None = None,
        max_sessions: int | None = None,
        batch_size: int | None = None,
        settings: LivePainting | None = None,
        clock: Clock | None = None,
        workers: int | None = None,
    ):
        pipe.set_progress_bar_config(disable=True)
        settings = settings or LivePainting()
        if fps is None or max_sessions is None:
            self.capacity = measure_capacity(pipe, settings, fps)
        else:
            count = workers or most_workers(pipe)
            size, rate = (1 if count > 1 else max(1, max_sessions)), Fraction(fps).limit_denominator(1001)
            self.capacity = Capacity(max_sessions, size, rate, 0.0, count)
        self.fps = self.capacity.fps
        self.max_sessions = self.capacity.sessions if max_sessions is None else max_sessions
        self.pipe, self.source, self.clock = pipe, source, clock or MonotonicClock()
        self.lock = threading.RLock()
        self.workers = workers or self.capacity.workers
        batch_size = batch_size or max(1, min(self.capacity.batch_size, self.max_sessions))
        self._painter = Painter(pipe, batch_size, settings)
        self._sessions: list[LiveSession] = []
        self._changed = threading.Condition()
        self._changes = 0
        self._threads: list[threading.Thread] = []
        self._turns = Turns()
        self._is_closing = False
        self._batches, self._paint_s = 0, self.capacity.batch_s
        self.failure: Exception | None = None

    @property
    def sessions(self) -> list[LiveSession]:
        """The open sessions."""
        with self.lock:
            return list(self._sessions)

    @property
    def paint_s(self) -> float:
        """Seconds that painting a batch took lately, averaged over some."""
        return self._paint_s

    @property
    def lead_s(self) -> float:
        """How long before it is shown a frame is planned."""
        return min(max(LEAST_LEAD_S, LEAD_MARGIN * self._paint_s), MOST_LEAD_S)

    def open_session(
        self,
        source: FrameSource | None = None,
        max_queue_s: float = 120.0,
        max_delay_s: float | None = None,
        rests: bool = True,
    ) -> LiveSession:
        """Opens a session; its first frame is due at once.

        Args:
            source: the idle clip or camera; that of the engine by default. The mouth of a clip is painted at rest
                first, once.
            max_queue_s: most speech that may wait, in seconds.
            max_delay_s: for a live speaker: speech that waits longer than so many seconds is left out, oldest first.
                None keeps all.
            rests: whether the mouth rests in pauses of the speech without being painted.

        Raises:
            SessionRefusedError: if the machine does not carry one more.
            ValueError: if there is no source, or the engine is closed.
            Diff2LipError: if painting has failed.
        """
        source = source or self.source
        if source is None:
            raise ValueError("`source` is missing: pass an IdleClip or a Camera here or to LiveLipSync")
        self._check_place()
        if isinstance(source, IdleClip):
            self._painter.rest(source, self.workers)
        sharpener = self._painter.new_sharpener(source)
        with self.lock:
            self._check_place()
            session = LiveSession(
                self, source, self.pipe.feature_extractor, max_queue_s, max_delay_s, rests, sharpener
            )
            self._sessions.append(session)
        return session

    def close_session(self, session: LiveSession) -> None:
        """Frees the place of a session; [`LiveSession.close`] calls it."""
        with self.lock:
            if session in self._sessions:
                self._sessions.remove(session)

    def step(self) -> bool:
        """Paints one batch of the frames that are due first; returns whether there was any."""
        with self.lock:
            waiting = [(frame, session) for session in self._sessions for frame in session.plan()]
            waiting.sort(key=lambda pair: pair[0].tick / self.fps + pair[1].started_s)
            batch = waiting[: self._painter.batch_size]
            for frame, _ in batch:
                frame.is_taken = True
            has_detail = any(session.sharpener is not None for _, session in batch)
            turn = self._turns.draw() if has_detail else None
            self._batches += bool(batch)
            batches = self._batches
        if not batch:
            return False
        start_s = self.clock.now()
        self._paint(batch, turn)
        took_s = self.clock.now() - start_s
        self._paint_s = took_s if not self._paint_s else 0.9 * self._paint_s + 0.1 * took_s
        if batches % TRIM_BATCHES == 0:
            trim_heap()
        return True

    def start(self) -> "LiveLipSync":
        """Paints in threads of its own from now on."""
        if not self._threads:
            self._threads = start_workers(self._run, self.workers)
        return self

    def wake(self) -> None:
        """Tells the painters that there may be work."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Closes all sessions and ends the painters."""
        self._is_closing = True
        for session in self.sessions:
            session.close()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def __enter__(self) -> "LiveLipSync":
        return self.start()

    def __exit__(self, *_error) -> None:
        self.close()

    def _run(self) -> None:
        while not self._is_closing and self.failure is None:
            seen = self._changes
            try:
                painted = self.step()
            except Exception as error:  # sessions must not wait for a painter that is gone
                logger.exception("painting failed")
                self.failure = error
                self._turns.end()
                return
            if not painted:
                with self._changed:
                    self._changed.wait_for(lambda seen=seen: self._changes != seen, IDLE_WAIT_S)

    def _paint(self, batch: list[tuple[Planned, LiveSession]], turn: int | None) -> None:
        """Paints frames; adds detail in the order of turns, as it continues from frame to frame."""
        crops, windows = [], []
        for frame, _ in batch:
            assert frame.shown.crop is not None and frame.window is not None
            crops.append(frame.shown.crop)
            windows.append(frame.window)
        faces = self._painter.faces(crops, windows)
        with nullcontext() if turn is None else self._turns.turn(turn):
            for (frame, session), face in zip(batch, faces, strict=True):
                if session.sharpener is not None and frame.is_fresh:
                    session.sharpener.forget()
                picture = self._painter.composited(frame.shown, face, session.sharpener)
                with self.lock:
                    session.deliver(frame, picture)

    def _check_place(self) -> None:
        """Makes sure that one more session can be opened."""
        if self._is_closing:
            raise ValueError("the engine is closed; make a new one")
        if self.failure is not None:
            raise Diff2LipError(f"the engine has stopped: {self.failure}; make a new one")
        if len(self.sessions) >= self.max_sessions:
            raise SessionRefusedError(self.max_sessions, float(self.fps))
