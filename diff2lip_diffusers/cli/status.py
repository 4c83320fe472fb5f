"""The command `diff2lip status`."""

import argparse
import sys

from tqdm import tqdm

from ..batch.status import batch_status
from ..stores.urls import located
from .commands import COMMANDS

SHOWN_FAILURES = 5


def add_status(commands) -> None:
    """Adds the command."""
    status = commands.add_parser("status", help=COMMANDS["status"], description="Shows the progress of a batch.")
    status.add_argument("output_dir", metavar="DIR", help="the --output-dir of the batch, a folder or a URL")
    status.set_defaults(run=_run)


def print_failures(failures: list[dict]) -> None:
    """Prints the first failed pairs on the error stream, one a line, and the number of the others."""
    for record in failures[:SHOWN_FAILURES]:
        print(f"failed: {record['output']}: {record.get('error', 'the reason is not recorded')}", file=sys.stderr)
    if len(failures) > SHOWN_FAILURES:
        print(f"and {len(failures) - SHOWN_FAILURES} more failed", file=sys.stderr)


def _run(args: argparse.Namespace) -> int:
    status = batch_status(args.output_dir)
    working = len(status.at_work)
    left = status.num_pairs - status.num_done - status.num_failed - working
    parts = [f"{status.num_done} done", f"{status.num_failed} failed", f"{working} at work", f"{left} to do"]
    rate = "" if status.pairs_per_minute is None else f"; {status.pairs_per_minute:.1f} pairs a minute"
    unfinished = left or working
    left_s = f", about {tqdm.format_interval(status.left_s)} left" if status.left_s and unfinished else ""
    print(f"{located(args.output_dir)}: {status.num_pairs} pairs: {', '.join(parts)}{rate}{left_s}")
    print_failures(status.failures)
    return 0
