#!/usr/bin/env python3
"""Measures live sessions: CPU time per frame on a clock that does not wait, or the steady rate in real time.

python benchmarks/live.py                             # 20 s of speech, CPU milliseconds a frame by stage
python benchmarks/live.py --minutes 60 --effect       # an hour, painting left out: drift, memory
python benchmarks/live.py --real-time --minutes 10    # on a quiet machine: rate, latency, jitter, drops
"""

import argparse
import time
from fractions import Fraction

import numpy as np
import psutil
import torch

from diff2lip_diffusers import load_pipeline
from diff2lip_diffusers.demo.demo_clip import demo_model_folder, load_demo_clip
from diff2lip_diffusers.live import IdleClip, LiveLipSync, LiveSession, ManualClock
from diff2lip_diffusers.live.painting import LivePainting
from diff2lip_diffusers.media.reader import read_audio
from diff2lip_diffusers.schedulers import make_scheduler

CHUNK_S = 0.02


def main() -> None:
    """Runs the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=demo_model_folder())
    parser.add_argument("--minutes", type=float, default=1 / 3)
    parser.add_argument("--fps", type=Fraction, help="default: 25, in real time what the machine keeps")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="default: the fastest good one")
    parser.add_argument("--detail", action="store_true")
    parser.add_argument("--effect", action="store_true", help="leave the network out")
    parser.add_argument("--real-time", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    pipe = load_pipeline(args.model, "cpu", args.dtype)
    pipe.scheduler = make_scheduler("ddim", pipe.scheduler.config)
    settings = LivePainting(num_inference_steps=args.steps, detail=args.detail)
    if args.real_time:
        engine = LiveLipSync(pipe, fps=args.fps, settings=settings)
        print(f"carries {engine.max_sessions} sessions at {float(engine.fps):g} frames/s")
    else:
        engine = LiveLipSync(pipe, None, args.fps or 25, args.sessions, settings=settings, clock=ManualClock())
    clip = load_demo_clip()
    engine.source = IdleClip(pipe, clip.video, engine.fps, boxes=clip.boxes if engine.fps == 25 else None)
    sessions = [engine.open_session(max_delay_s=0.6) for _ in range(args.sessions)]
    if args.effect:
        engine._painter.faces = lambda crops, _windows: np.stack(crops).astype(np.float32) / 255
    measure(engine, sessions, args.minutes * 60, args.real_time)


def measure(engine: LiveLipSync, sessions: list[LiveSession], seconds: float, in_real_time: bool) -> None:
    """Speaks the demo's sentence again and again in all sessions, and prints what was measured."""
    samples, rate = read_audio(load_demo_clip().speech)
    samples = samples.mean(axis=0) if samples.ndim == 2 else samples
    size, memory = round(CHUNK_S * rate), psutil.Process()
    if in_real_time:
        engine.start()
    start_s, cpu_s, first_rss = time.monotonic(), time.process_time(), memory.memory_info().rss
    for number in range(round(seconds / CHUNK_S)):
        chunk = np.take(samples, range(number * size, (number + 1) * size), mode="wrap")
        for session in sessions:
            session.push_audio(chunk, rate)
        if in_real_time:
            time.sleep(max(0.0, start_s + (number + 1) * CHUNK_S - time.monotonic()))
        else:
            while engine.step():
                pass
            engine.clock.advance(CHUNK_S)
        for session in sessions:
            while session.take() is not None:
                pass
        if number == round(5 / CHUNK_S):
            first_rss = memory.memory_info().rss
    stats = [session.stats for session in sessions]
    frames = sum(one.num_frames for one in stats)
    print(f"CPU: {1000 * (time.process_time() - cpu_s) / frames:.1f} ms a frame, {frames} frames")
    print(f"memory after 5 s and at the end: {first_rss >> 20} and {memory.memory_info().rss >> 20} MB")
    for one in stats:
        print(one)
    engine.close()


if __name__ == "__main__":
    main()
