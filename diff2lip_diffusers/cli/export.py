"""The command `diff2lip export`."""

import argparse


def add_export(commands) -> None:
    """Adds the command."""
    export = commands.add_parser(
        "export",
        help="write a model folder in the authors' layout",
        description="Writes a model folder as one file in the authors' layout, which diff2lip convert reads.",
    )
    export.add_argument("model", metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    export.add_argument("output", metavar="FILE", help="the .pt file to write")
    export.set_defaults(run=_run_export)


def _run_export(args: argparse.Namespace) -> None:
    from ..training.export import export_original

    convert = export_original(args.model, args.output)
    print(f"{args.output}: exported; to convert it back: {convert}")
