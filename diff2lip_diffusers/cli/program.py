"""The command line: all commands of `diff2lip`.

Bad input ends in one line on the error stream: exit code 2 for a wrong command, 1 for anything else. A batch of
which some pairs failed ends with 3.
"""

import argparse
import importlib.metadata
import math
import signal
import sys
import threading

import torch

from ..errors import Diff2LipError, StoppedError
from ..hub import DTYPES, convert_checkpoint, push_folder
from ..lipsync.option_values import number
from ..original_checkpoint import NORM_GROUPS
from .batch import add_batch, add_status
from .corpus import add_demo, add_make_corpus, add_pretrain_audio
from .export import add_export
from .prepare import add_prepare
from .sync import add_sync
from .train import add_train
from .train_syncnet import add_train_syncnet

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
        return args.run(args) or 0
    except StoppedError:
        return EXIT_FAILED
    except (Diff2LipError, ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        print(f"diff2lip {args.command}: {_one_line(error)}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(f"diff2lip {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


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
    add_sync(commands)
    add_batch(commands)
    add_status(commands)
    _add_convert(commands)
    add_export(commands)
    add_demo(commands)
    add_make_corpus(commands)
    add_prepare(commands)
    add_pretrain_audio(commands)
    add_train_syncnet(commands)
    add_train(commands)
    return parser


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
        type=number(int, 1, math.inf, "a whole number above 0"),
        default=64,
        help="channels a head (default: 64)",
    )
    convert.add_argument(
        "--norm-groups",
        type=number(int, 1, math.inf, "a whole number above 0"),
        default=NORM_GROUPS,
        help=f"groups a normalisation (default: {NORM_GROUPS})",
    )
    convert.add_argument(
        "--sample-size",
        type=number(int, 8, math.inf, "a whole number, 8 or more"),
        metavar="PX",
        help="height and width of the crops (default: the first level with attention is taken as 32 pixels wide)",
    )
    convert.add_argument("--dtype", choices=DTYPES, default="fp32", help="of the stored weights")
    convert.add_argument("--variant", help="name inside the weight files, such as fp16")
    convert.add_argument("--push-to-hub", metavar="REPO", help="also upload the folder, as user/name")
    convert.add_argument("--private", action="store_true", help="make the repository on the Hub private")
    convert.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> None:
    output = convert_checkpoint(
        args.checkpoint,
        args.output,
        args.head_channels,
        args.dtype,
        args.variant,
        args.norm_groups,
        args.sample_size,
    )
    print(f"{output}: converted; the weights stay under CC BY-NC 4.0, no commercial use")
    if args.push_to_hub:
        print(push_folder(output, args.push_to_hub, args.private))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
