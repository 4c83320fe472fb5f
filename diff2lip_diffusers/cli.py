"""The command line: `diff2lip sync`, `diff2lip convert`, `diff2lip demo`.

Bad input ends in one line on the error stream: exit code 2 for a wrong command, 1 for anything else.
"""

import argparse
import importlib.metadata
import logging
import math
import signal
import sys
import threading
from collections.abc import Callable
from fractions import Fraction

import torch
from diffusers.utils.logging import disable_progress_bar, set_verbosity
from huggingface_hub.utils import disable_progress_bars
from tqdm import tqdm

from .demo import run_demo
from .errors import Diff2LipError
from .face_detectors import FACE_DETECTORS
from .hub import DTYPES, convert_checkpoint, load_pipeline, push_folder
from .lipsync import read_speech, sync_video
from .media import probe_video
from .media_writer import check_output_path
from .schedulers import SCHEDULERS, make_scheduler
from .sync_options import MODES, OPTION_RANGES

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage text in front."""

    def error(self, message: str):
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    args = build_parser().parse_args(argv)
    _clean_up_on_signals()
    try:
        args.run(args)
    except (Diff2LipError, ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        print(f"diff2lip {args.command}: {_one_line(error)}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(f"diff2lip {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _clean_up_on_signals() -> None:
    """Makes a polite request to end work as Ctrl-C does, so that no half-written file stays."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
            signal.signal(getattr(signal, name), signal.default_int_handler)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="diff2lip", description="Lip-sync any face video to any speech.")
    version = importlib.metadata.version("diff2lip-diffusers")
    parser.add_argument("--version", action="version", version=f"diff2lip-diffusers {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_sync(commands)
    _add_convert(commands)
    _add_demo(commands)
    return parser


def _add_sync(commands) -> None:
    sync = commands.add_parser(
        "sync",
        help="make the lips in a video follow a recording",
        description="Makes the lips in a video follow a recording. Use it on people who agreed to it.",
    )
    sync.add_argument("--model", required=True, metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    sync.add_argument("--video", required=True, metavar="FILE", help="video with the face")
    sync.add_argument("--audio", metavar="FILE", help="speech, from a sound or video file (default: the video's own)")
    sync.add_argument("--output", required=True, metavar="FILE", help="video to write: .mp4, .m4v, .mov or .mkv")
    sync.add_argument("--scheduler", choices=SCHEDULERS, help="sampler (default: the model's own)")
    sync.add_argument(
        "--steps", type=_option("num_inference_steps", int), help="denoising steps (default: the model's own, 25)"
    )
    sync.add_argument("--eta", type=_option("eta", float), default=0.0, help="noise in DDIM, 0 to 1 (default: 0)")
    sync.add_argument("--seed", type=_option("seed", int), default=7, help="decides the noise (default: 7)")
    sync.add_argument(
        "--batch-size", type=_option("batch_size", int), help="frames at a time (default: 4 on a CPU, else 32)"
    )
    sync.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    sync.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    sync.add_argument("--variant", help="variant of the weight files, such as fp16")
    sync.add_argument(
        "--fps", type=_option("fps", Fraction), help="frame rate of the output (default: the video's own)"
    )
    sync.add_argument(
        "--crf", type=_option("crf", int), default=16, help="H.264 quality, 0 to 51, lower is better (default: 16)"
    )
    face = sync.add_mutually_exclusive_group()
    face.add_argument("--box", type=_box, metavar="X1,Y1,X2,Y2", help="fixed face box in pixels, for drawn faces say")
    face.add_argument("--detector", default="mtcnn", choices=FACE_DETECTORS, help="face detector (default: mtcnn)")
    face.add_argument("--voxceleb2-crop", action="store_true", help="the video is a VoxCeleb2 face crop")
    sync.add_argument(
        "--pads", type=_pads, default=(0, 0, 0, 0), metavar="T,B,L,R", help="grow detected boxes by pixels"
    )
    sync.add_argument("--mode", default="cross", choices=MODES, help="reference frame")
    sync.add_argument("--reproduce", action="store_true", help="do what the original program does to the letter")
    sync.set_defaults(run=_sync)


def _add_convert(commands) -> None:
    convert = commands.add_parser(
        "convert",
        help="turn the original checkpoint into a diffusers model folder",
        description="Turns the original checkpoint into a diffusers model folder. The original weights, and so the"
        " converted ones, are licensed CC BY-NC 4.0: no commercial use.",
    )
    convert.add_argument("checkpoint", metavar="CHECKPOINT", help="the authors' .pt file")
    convert.add_argument("--output", required=True, metavar="DIR", help="model folder to write")
    convert.add_argument(
        "--head-channels",
        type=_number(int, 1, math.inf, "a whole number above 0"),
        default=64,
        help="channels a head (default: 64)",
    )
    convert.add_argument("--dtype", choices=DTYPES, default="fp32", help="of the stored weights")
    convert.add_argument("--variant", help="name inside the weight files, such as fp16")
    convert.add_argument("--push-to-hub", metavar="REPO", help="also upload the folder, as user/name")
    convert.add_argument("--private", action="store_true", help="make the repository on the Hub private")
    convert.set_defaults(run=_convert)


def _add_demo(commands) -> None:
    demo = commands.add_parser("demo", help="sync a generated clip with a small untrained model, to try the program")
    demo.add_argument("--output", default="demo.mp4", metavar="FILE", help="video to write (default: demo.mp4)")
    demo.set_defaults(run=_demo)


def _sync(args: argparse.Namespace) -> None:
    # A wrong file name should not cost the time of loading a model.
    check_output_path(args.output, args.video, args.audio)
    probe_video(args.video)
    read_speech(args.audio or args.video)
    set_verbosity(logging.CRITICAL)  # what goes wrong comes back as an exception, and is said once
    if not sys.stderr.isatty():
        disable_progress_bar()
        disable_progress_bars()
    pipe = load_pipeline(args.model, args.device, args.dtype, args.variant)
    if args.scheduler:
        pipe.scheduler = make_scheduler(args.scheduler, pipe.scheduler.config)
    with tqdm(unit="frame", disable=None) as bar:

        def show(done: int, expected: int | None) -> None:
            bar.total = expected
            bar.update(done - bar.n)

        result = sync_video(
            pipe,
            args.video,
            args.audio,
            args.output,
            on_progress=show,
            num_inference_steps=args.steps,
            seed=args.seed,
            eta=args.eta,
            batch_size=args.batch_size,
            fps=args.fps,
            box=args.box,
            pads=args.pads,
            detector=args.detector,
            voxceleb2_crop=args.voxceleb2_crop,
            mode=args.mode,
            reproduce=args.reproduce,
            crf=args.crf,
        )
    faceless = f", {result.num_faceless_frames} without a face" if result.num_faceless_frames else ""
    print(f"{result.output}: {result.num_frames} frames, {result.duration_s:.2f} s{faceless}")


def _convert(args: argparse.Namespace) -> None:
    output = convert_checkpoint(args.checkpoint, args.output, args.head_channels, args.dtype, args.variant)
    print(f"{output}: converted; the weights stay under CC BY-NC 4.0, no commercial use")
    if args.push_to_hub:
        print(push_folder(output, args.push_to_hub, args.private))


def _demo(args: argparse.Namespace) -> None:
    run_demo(args.output)
    print(f"{args.output}: a drawn face and a made-up voice; the model is not trained, so its mouth is noise")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _number(kind: type, smallest: float, largest: float, expected: str) -> Callable:
    """A parser of one number that says what it expected."""

    def parse(text: str):
        try:
            value = kind(text)
        except (ValueError, ZeroDivisionError):
            value = None
        if value is None or not smallest <= value <= largest:
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return value

    return parse


def _option(name: str, kind: type) -> Callable:
    """A parser of one of `sync_video`'s numbers."""
    _, smallest, largest, expected = OPTION_RANGES[name]
    return _number(kind, smallest, largest, expected)


def _whole_numbers(text: str, what: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}, four whole numbers")
    return numbers


def _pads(text: str) -> tuple[int, ...]:
    return _whole_numbers(text, "top,bottom,left,right")


def _box(text: str) -> tuple[int, ...]:
    x1, y1, x2, y2 = box = _whole_numbers(text, "x1,y1,x2,y2")
    if x2 <= x1 or y2 <= y1:
        raise argparse.ArgumentTypeError(f"{text!r} is not x1,y1,x2,y2 with x1 < x2 and y1 < y2")
    return box
