"""For tests of live sessions: a pipeline that shows in the mouth how loud the speech is, and a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction

import numpy as np
import torch

from diff2lip_diffusers import Diff2LipPipeline, Diff2LipPipelineOutput
from diff2lip_diffusers.demo.demo_clip import load_demo_clip
from diff2lip_diffusers.live import IdleClip, LiveFrame, LiveLipSync, LiveSession, ManualClock

from .untrained import untrained_pipeline

FPS = Fraction(25)


class LoudnessPainter(Diff2LipPipeline):
    """Fills the middle of the mouth with a gray that says how loud the middle of the mel window is."""

    def __call__(self, frames, mel_windows, **_arguments):
        painted = frames.astype(np.float32) / 255
        size = painted.shape[1]
        rows, columns = slice(size * 5 // 8, size * 7 // 8), slice(size * 3 // 8, size * 5 // 8)
        painted[:, rows, columns] = gray_of(mel_windows).numpy()[:, None, None, None]
        return Diff2LipPipelineOutput(frames=painted)


def gray_of(windows: torch.Tensor) -> torch.Tensor:
    """The gray for windows (N, 80, 16): 0 for silence, 1 for the loudest sound."""
    return ((windows[:, :, 2:6].mean(dim=(1, 2)) + 4) / 8).clamp(0, 1)


def loudness_pipeline(size: int = 32) -> LoudnessPainter:
    pipe = LoudnessPainter(**untrained_pipeline(sample_size=16).components)
    pipe.unet.register_to_config(sample_size=size)
    return pipe


def demo_idle_clip(pipe: Diff2LipPipeline, num_frames: int = 12) -> IdleClip:
    """The first frames of the clip in the package."""
    clip = load_demo_clip()
    idle = IdleClip(pipe, clip.video, FPS, boxes=clip.boxes)
    del idle.frames[num_frames:]
    return idle


def seen_gray(frame: LiveFrame, idle: IdleClip) -> float:
    """The gray in the middle of the mouth of a frame, as far as compositing keeps it."""
    box = idle.at(frame.number).box
    assert box is not None
    x, y = int((box.x1 + box.x2) / 2), int(box.y1 + 0.75 * box.height)
    return float(frame.picture[y - 3 : y + 3, x - 3 : x + 3].mean()) / 255


def manual_engine(pipe: Diff2LipPipeline, source=None, sessions: int = 1, **options) -> LiveLipSync:
    """An engine whose time is moved by hand."""
    return LiveLipSync(pipe, source, FPS, sessions, clock=ManualClock(), **{"workers": 1, **options})


def play(
    engine: LiveLipSync,
    session: LiveSession,
    seconds: float,
    feed: Callable[[float], None] = lambda _time_s: None,
    tick_s: float = 0.04,
) -> Iterator[LiveFrame]:
    """Moves the time on: feeds speech, paints, and yields the frames as they fall due."""
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    for number in range(round(seconds / tick_s)):
        feed(number * tick_s)
        while engine.step():
            pass
        while (frame := session.take()) is not None:
            yield frame
        clock.advance(tick_s)


def words(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise in syllables: loud and soft three times a second, never silent; whole levels of 16 bits."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate))
    loud = 0.02 + 0.2 * np.sin(np.arange(len(samples)) * np.pi * 3 / rate) ** 2
    return (np.round(samples * loud * 8192).clip(-32768, 32767) / 32768).astype(np.float32)


@asynccontextmanager
async def moving_time(engine: LiveLipSync, session: LiveSession) -> AsyncIterator[None]:
    """Moves the time of an engine on whenever its reader has taken what is due, however slow the machine is."""

    async def move():
        while session.is_open:
            while engine.step():
                pass
            if session.wait_s > 0:
                engine.clock.advance(0.01)
            await asyncio.sleep(0.001)

    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()
