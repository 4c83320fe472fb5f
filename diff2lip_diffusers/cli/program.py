"""The program `diff2lip`: its commands, and how errors become exit codes.

Bad input ends in one line on the error stream: exit code 2 for a wrong command, 1 for anything else. A batch of
which some pairs failed ends with 3, an evaluation that misses a limit with 4.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable

import torch

from ..batch.local_group import run_group
from ..batch.supervisor import Reports, supervise
from ..errors import Diff2LipError, StoppedError
from .app import add_app
from .batch import add_batch
from .commands import program_parser
from .convert import add_convert
from .convert_syncnet import add_convert_syncnet
from .demo import add_demo
from .distill import add_distill
from .evaluate import add_evaluate
from .export import add_export
from .live import add_live
from .make_corpus import add_make_corpus
from .personalize import add_personalize
from .prepare import add_prepare
from .pretrain_audio import add_pretrain_audio
from .status import add_status
from .sync import add_sync
from .train import add_train
from .train_syncnet import add_train_syncnet
from .verify import add_verify

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    Args:
        argv: the command, which then runs in this process; None for that of the command line. A batch of the command
            line runs in processes of its own, which others replace if a pair ends them.
    """
    args = build_parser().parse_args(argv)
    _clean_up_on_signals()
    if getattr(args, "processes", 1) > 1 and not args.dry_run and args.engine != "ray":
        return _exit_code(args, lambda: run_group(_run_alone, args, args.processes))
    if argv is None and "processes" in args and hasattr(os, "fork"):
        return _run_alone(args)
    return _exit_code(args, lambda: args.run(args))


def _run_alone(args: argparse.Namespace) -> int:
    return _exit_code(args, lambda: supervise(_run_supervised, args))


def _run_supervised(args: argparse.Namespace, reports: Reports) -> int:
    return _exit_code(args, lambda: args.run(args, reports))


def _exit_code(args: argparse.Namespace, run: Callable[[], int | None]) -> int:
    """Runs a command; prints an error as one line."""
    try:
        return run() or 0
    except StoppedError:
        return EXIT_FAILED
    except (Diff2LipError, ValueError, OSError, MemoryError, torch.OutOfMemoryError) as error:
        print(f"diff2lip {args.command}: {_one_line(error)}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print(f"diff2lip {args.command}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _clean_up_on_signals() -> None:
    """Treats SIGTERM and SIGHUP like Ctrl-C, so that no half-written file stays."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
            signal.signal(getattr(signal, name), signal.default_int_handler)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands; each is listed in `commands.py`, too."""
    parser = program_parser()
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_sync(commands)
    add_app(commands)
    add_live(commands)
    add_batch(commands)
    add_status(commands)
    add_convert(commands)
    add_convert_syncnet(commands)
    add_export(commands)
    add_demo(commands)
    add_verify(commands)
    add_evaluate(commands)
    add_make_corpus(commands)
    add_personalize(commands)
    add_prepare(commands)
    add_pretrain_audio(commands)
    add_train_syncnet(commands)
    add_train(commands)
    add_distill(commands)
    return parser


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
