"""The command `diff2lip demo`."""

import argparse

from .commands import COMMANDS


def add_demo(commands) -> None:
    """Adds the command."""
    demo = commands.add_parser(
        "demo",
        help=COMMANDS["demo"],
        description="Lip-syncs the drawn face in the package to a sentence that it never said, with the small model in"
        " the package, and measures how well the mouth follows the speech. The model knows drawn faces only.",
    )
    demo.add_argument(
        "--output",
        default="demo.mp4",
        metavar="FILE",
        help="video to write; beside it a contact sheet, .png (default: demo.mp4)",
    )
    demo.add_argument(
        "--text",
        metavar="SENTENCE",
        help='what the drawn person says, in English (needs pip install "diff2lip-diffusers[corpus]")',
    )
    demo.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from ..demo.run_demo import run_demo

    result = run_demo(args.output, text=args.text)
    print(f'{result.sync.output}: a drawn face says "{result.text}"; contact sheet: {result.sheet}')
    print(
        f"correlation of its mouth opening with the target speech: {result.target_speech.correlation:.2f}, lag"
        f" {result.target_speech.lag_frames} frames; with the original speech:"
        f" {result.original_speech.correlation:.2f}"
    )
