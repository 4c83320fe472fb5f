"""The command `diff2lip convert-syncnet`."""

import argparse

from .commands import COMMANDS


def add_convert_syncnet(commands) -> None:
    """Adds the command."""
    convert = commands.add_parser(
        "convert-syncnet",
        help=COMMANDS["convert-syncnet"],
        description="Turns the weights of the SyncNet of 2016 (syncnet_v2.model, from the lip-sync page of Oxford's"
        " Visual Geometry Group) into safetensors, which cannot hold code. The weights stay under their"
        " authors' terms.",
    )
    convert.add_argument("source", metavar="SRC", help="syncnet_v2.model")
    convert.add_argument("--output", required=True, metavar="FILE", help="file to write, such as syncnet.safetensors")
    convert.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..evaluation.syncnet2016.network import convert_syncnet

    print(f"{convert_syncnet(args.source, args.output)}: converted; the weights stay under their authors' terms")
