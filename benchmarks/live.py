#!/usr/bin/env python3
"""Measures live sessions: CPU time per frame on a clock that does not wait, or the steady rate in real time.

python benchmarks/live.py --steps 1 --threads 1                 # 20 s of speech, CPU milliseconds a frame
python benchmarks/live.py --minutes 60 --effect                 # an hour, painting left out: drift, memory
python benchmarks/live.py --steps 1 --real-time --minutes 10    # on a quiet machine: rate, latency, jitter, drops
"""

import argparse
import threading
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
# Memory is compared with that after so many seconds, when libraries have what they use.
SETTLED_S, REPORT_S = 15, 60
SILENCED_S = 1.0


def main() -> None:
    """Runs the benchmark that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=demo_model_folder())
    parser.add_argument("--minutes", type=float, default=1 / 3)
    parser.add_argument("--fps", type=Fraction, help="default: 25; in real time as measured, or this one unmeasured")
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
        engine = LiveLipSync(pipe, None, args.fps, args.sessions if args.fps else None, settings=settings)
        print(
            f"carries {engine.max_sessions} sessions at {float(engine.fps):g} frames/s; {engine.capacity}", flush=True
        )
    else:
        engine = LiveLipSync(
            pipe, None, args.fps or 25, args.sessions, settings=settings, clock=ManualClock(), workers=1
        )
    clip = load_demo_clip()
    engine.source = IdleClip(pipe, clip.video, engine.fps, boxes=clip.boxes if engine.fps <= 25 else None)
    sessions = [engine.open_session(max_delay_s=0.6) for _ in range(args.sessions)]
    if args.effect:
        engine._painter.faces = lambda crops, _windows: np.stack(crops).astype(np.float32) / 255
    measure = measure_in_real_time if args.real_time else measure_fast
    measure(engine, sessions, args.minutes * 60)
    engine.close()


def measure_fast(engine: LiveLipSync, sessions: list[LiveSession], seconds: float) -> None:
    """Speaks on a clock that does not wait."""
    cpu_s, settled = time.process_time(), 0
    for number, (chunk, rate) in enumerate(chunks(seconds)):
        for session in sessions:
            session.push_audio(chunk, rate)
        while engine.step():
            pass
        engine.clock.advance(CHUNK_S)
        for session in sessions:
            while session.take() is not None:
                pass
        if number == round(SETTLED_S / CHUNK_S):
            settled = megabytes()
    report(sessions, time.process_time() - cpu_s, settled)


def measure_in_real_time(engine: LiveLipSync, sessions: list[LiveSession], seconds: float) -> None:
    """Speaks in real time, then interrupts."""
    start_s, cpu_s, settled = time.monotonic(), time.process_time(), 0
    with engine:
        for session in sessions:
            threading.Thread(target=read, args=(session,), daemon=True).start()
        for number, (chunk, rate) in enumerate(chunks(seconds)):
            for session in sessions:
                session.push_audio(chunk, rate)
            if number == round(SETTLED_S / CHUNK_S):
                settled = megabytes()
            if number and number % round(REPORT_S / CHUNK_S) == 0:
                print(f"{number * CHUNK_S:.0f} s: {megabytes()} MB, {sessions[0].stats}", flush=True)
            time.sleep(max(0.0, start_s + (number + 1) * CHUNK_S - time.monotonic()))
        for session in sessions:
            session.interrupt()
        time.sleep(SILENCED_S)
        report(sessions, time.process_time() - cpu_s, settled)


def read(session: LiveSession) -> None:
    """Takes the frames of a session when they are due."""
    while session.is_open:
        try:
            frame = session.take()
        except ValueError:  # closed
            return
        if frame is None:
            time.sleep(min(max(session.wait_s, 0.0005), CHUNK_S))


def chunks(seconds: float):
    """The demo's sentence again and again, in chunks with their rate."""
    samples, rate = read_audio(load_demo_clip().speech)
    samples = samples.mean(axis=0) if samples.ndim == 2 else samples
    size = round(CHUNK_S * rate)
    for number in range(round(seconds / CHUNK_S)):
        yield np.take(samples, range(number * size, (number + 1) * size), mode="wrap"), rate


def megabytes() -> int:
    """Memory of this process."""
    return psutil.Process().memory_info().rss >> 20


def report(sessions: list[LiveSession], cpu_s: float, settled: int) -> None:
    """Prints what was measured."""
    frames = sum(session.stats.num_frames for session in sessions)
    print(f"CPU: {1000 * cpu_s / frames:.1f} ms a frame, {frames} frames, {torch.get_num_threads()} threads")
    print(f"memory: {settled} MB after {SETTLED_S} s, {megabytes()} MB at the end")
    for number, session in enumerate(sessions):
        one = session.stats
        apart_ms = 1000 * max(abs(one.sound_ahead_s), abs(one.clock_drift_s))
        for name, text in {
            "frames": f"{one.num_frames}, of speech {one.num_speech}, late {one.num_late}, skipped {one.num_skipped}",
            "latency": f"median {1000 * one.latency_p50_s:.0f} ms, p99 {1000 * one.latency_p99_s:.0f} ms",
            "jitter": f"median {1000 * one.jitter_p50_s:.0f} ms, p99 {1000 * one.jitter_p99_s:.0f} ms",
            "sound and picture apart": f"{1000 * one.sound_ahead_s:.2f} ms; from the clock {apart_ms:.1f} ms at most",
            "speech left out": f"{one.skipped_speech_s:.2f} s",
            "mouth at rest after an interruption": f"{1000 * one.silenced_max_s:.0f} ms",
            "painting a batch": f"{1000 * one.paint_s:.0f} ms",
        }.items():
            print(f"session {number}: {name}: {text}")


if __name__ == "__main__":
    main()
