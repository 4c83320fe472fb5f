"""The command `diff2lip export`."""

import argparse

from .commands import COMMANDS
from .options import add_hub_place, hub_place


def add_export(commands) -> None:
    """Adds the command."""
    export = commands.add_parser(
        "export",
        help=COMMANDS["export"],
        description="Writes a model folder as one file in the authors' layout, which diff2lip convert reads; or as a"
        " folder that carries its code, which diffusers loads without this package. The license stays as it is.",
    )
    export.add_argument("model", metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    form = export.add_mutually_exclusive_group(required=True)
    form.add_argument("output", metavar="FILE", nargs="?", help="the .pt file to write")
    form.add_argument(
        "--remote-code",
        metavar="DIR",
        help="write a folder for DiffusionPipeline.from_pretrained(DIR, trust_remote_code=True) instead",
    )
    add_hub_place(export)
    export.set_defaults(run=_run_export)


def _run_export(args: argparse.Namespace) -> None:
    if args.remote_code:
        from ..hub import export_with_code

        output = export_with_code(args.model, args.remote_code, **hub_place(args))
        print(f"{output}: exported with its code; it loads with trust_remote_code=True")
        return
    from ..training.export import export_original

    convert = export_original(args.model, args.output, **hub_place(args))
    print(f"{args.output}: exported; to convert it back: {convert}")
