"""The command `diff2lip convert`."""

import argparse
import json
import math

from ..hub import DTYPES, convert_checkpoint, push_folder
from ..original_checkpoint import NORM_GROUPS
from ..portable.model_card_diff2lip import CONVERTED_LICENSE
from .arguments import POSITIVE, number
from .commands import COMMANDS
from .options import add_hub_place, hub_place

LICENSES = {
    CONVERTED_LICENSE: "the weights stay under CC BY-NC 4.0, no commercial use",
    None: "nobody has named a license of these weights",
}


def add_convert(commands) -> None:
    """Adds the command."""
    convert = commands.add_parser(
        "convert",
        help=COMMANDS["convert"],
        description="Turns the original checkpoint into a diffusers model folder. The original weights, and so the"
        " converted ones, are licensed CC BY-NC 4.0: no commercial use.",
    )
    convert.add_argument(
        "checkpoint", metavar="CHECKPOINT", help="the authors' .pt file, or its place on the Hub: hf:OWNER/REPO/FILE"
    )
    convert.add_argument("--output", required=True, metavar="DIR", help="model folder to write")
    convert.add_argument(
        "--head-channels",
        type=POSITIVE,
        default=64,
        help="channels a head (default: 64)",
    )
    convert.add_argument(
        "--norm-groups",
        type=POSITIVE,
        default=NORM_GROUPS,
        help=f"groups a normalization (default: {NORM_GROUPS})",
    )
    convert.add_argument(
        "--sample-size",
        type=number(int, 8, math.inf, "a whole number, 8 or more"),
        metavar="PX",
        help="height and width of the crops (default: such that the first level with attention is 32 pixels wide)",
    )
    convert.add_argument("--dtype", choices=DTYPES, default="fp32", help="of the stored weights")
    convert.add_argument("--variant", help="name inside the weight files, such as fp16")
    convert.add_argument("--push-to-hub", metavar="REPO", help="also upload the folder, as user/name")
    convert.add_argument("--private", action="store_true", help="make the repository on the Hub private")
    convert.add_argument(
        "--license",
        metavar="NAME",
        help="license of the weights, as the Hub names it (default: what diff2lip export wrote into the file, else"
        f" that of the authors' weights, {CONVERTED_LICENSE})",
    )
    add_hub_place(convert, subfolder=False)
    convert.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    output = convert_checkpoint(
        args.checkpoint,
        args.output,
        args.head_channels,
        args.dtype,
        args.variant,
        args.norm_groups,
        args.sample_size,
        args.license,
        **hub_place(args),
    )
    license = json.loads((output / "model_index.json").read_text(encoding="utf-8"))["weights_license"]
    print(f"{output}: converted; {LICENSES.get(license, f'license of the weights: {license}')}")
    if args.push_to_hub:
        print(push_folder(output, args.push_to_hub, args.private, args.token))
