"""The command `diff2lip verify`."""

import argparse
import json

from ..provenance.verify import verify
from .commands import COMMANDS


def add_verify(commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "verify",
        help=COMMANDS["verify"],
        description="Says whether a file was lip-synced by this program, by its metadata, its signed content"
        " credentials and its watermark. No mark does not mean that a file is real.",
    )
    parser.add_argument("file", metavar="FILE", help="video, image, or folder of images")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    found = verify(args.file)
    if args.json:
        print(json.dumps(found.as_json()))
        return
    print(f"{args.file}: {'lip-synced by diff2lip' if found.is_marked else 'no mark of ours'}")
    for line in found.lines():
        print(f"  {line}")
