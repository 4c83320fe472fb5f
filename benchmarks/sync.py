#!/usr/bin/env python3
"""Measures whole lip-sync jobs: peak memory by the length of the clip, and milliseconds per frame by stage.

Loops a clip and a recording to each length, runs each job in a new process, and prints a row per length. Ratios
compare with the first row. `taskset -c 0 python benchmarks/sync.py …` shows what one core needs.

    python benchmarks/sync.py --model tiny --video face.mp4 --audio speech.wav --seconds 10 600
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import wave
from itertools import count
from pathlib import Path

import av
import numpy as np

from diff2lip_diffusers import load_pipeline, sync_video
from diff2lip_diffusers.media.reader import read_audio

STAGES = ("decode", "detect", "crop", "paste", "encode", "sample")


def main() -> None:
    """Measures each length and prints the table."""
    args = parse_args()
    if args.in_child is not None:
        print(json.dumps(measure(args, args.in_child)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seconds in args.seconds:
            video, audio = Path(folder) / "video.mp4", Path(folder) / "audio.wav"
            loop_video(args.video, video, seconds)
            loop_audio(args.audio, audio, seconds)
            rows.append(run_child(video, audio, args))
    report(args.seconds, rows)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="model folder or repository")
    parser.add_argument("--video", required=True, help="mp4 or mov with a face; it is looped")
    parser.add_argument("--audio", required=True, help="speech; it is looped")
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 60])
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--detail", choices=("video", "none"), default="none", help="as of diff2lip sync")
    parser.add_argument("--in-child", metavar="OUTPUT", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_child(video: Path, audio: Path, args: argparse.Namespace) -> dict:
    """Measures one job in a new process."""
    inputs = ["--model", args.model, "--video", video, "--audio", audio, "--steps", str(args.steps)]
    inputs += ["--detail", args.detail]
    command = [sys.executable, __file__, *inputs, "--in-child", video.with_name("out.mp4")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(args: argparse.Namespace, output: str) -> dict:
    """Returns the frames, the peak memory in MB and the seconds by stage of one job."""
    options = {"num_inference_steps": args.steps, "detail": args.detail}
    result = sync_video(load_pipeline(args.model), args.video, args.audio, output, **options)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"frames": result.num_frames, "peak_mb": peak_mb, "stage_s": result.stage_s}


def loop_video(source: str, target: Path, seconds: int) -> None:
    """Writes the packets of a clip again and again, without encoding, until `seconds` is reached."""
    with av.open(str(target), "w") as out:
        stream = None
        shift = 0
        for _ in count():
            with av.open(source) as container:
                source_stream = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source_stream)
                for packet in container.demux(source_stream):
                    if packet.size and (packet.pts + shift) * packet.time_base < seconds:
                        packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                        out.mux(packet)
                shift += source_stream.duration
                if shift * source_stream.time_base >= seconds:
                    return


def loop_audio(source: str, target: Path, seconds: int) -> None:
    """Writes a recording again and again until `seconds` is reached; 16 bits, one channel."""
    samples, rate = read_audio(source)
    once = np.round(samples * 32767).astype("<i2").tobytes()
    left = 2 * rate * seconds
    with wave.open(str(target), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", "NONE"))
        while left > 0:
            out.writeframes(once[:left])
            left -= len(once)


def report(seconds: list[int], rows: list[dict]) -> None:
    """Prints the table."""
    print("| clip | frames | peak memory | ratio |" + "".join(f" {stage} |" for stage in STAGES))
    print("|---" * (4 + len(STAGES)) + "|")
    for length, row in zip(seconds, rows, strict=True):
        stages = "".join(f" {1000 * row['stage_s'][stage] / row['frames']:.1f} ms |" for stage in STAGES)
        ratio = row["peak_mb"] / rows[0]["peak_mb"]
        print(f"| {length} s | {row['frames']} | {row['peak_mb']:.0f} MB | {ratio:.2f} |{stages}")


if __name__ == "__main__":
    main()
