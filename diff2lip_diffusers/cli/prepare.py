"""The command `diff2lip prepare`."""

import argparse
import math

from ..errors import Diff2LipError
from .arguments import UNLESS_GIVEN, number, sync_option
from .commands import COMMANDS


def add_prepare(commands) -> None:
    """Adds the command."""
    prepare = commands.add_parser(
        "prepare",
        help=COMMANDS["prepare"],
        description="Cuts talking-head videos into short face clips with their speech, for training. In each shot it"
        " follows the largest face. The same command resumes a set that was interrupted, and adds new videos."
        " NAME.boxes.jsonl beside NAME.mp4 replaces the face detector (see sync --detections); NAME.wav beside it is"
        " the speech of a video without audio.",
    )
    prepare.add_argument("videos", metavar="VIDEOS", nargs="+", help="videos, and folders, searched recursively")
    prepare.add_argument("output", metavar="OUT", help="folder for the set; its report.html shows all clips")
    _add_clips(prepare)
    _add_faces(prepare)
    _add_sync(prepare)
    prepare.add_argument(
        "--workers",
        metavar="N",
        **_number(int, 1, "a whole number above 0"),
        help="processes (default: 1)",
    )
    prepare.set_defaults(run=_run_prepare)


def _add_clips(prepare) -> None:
    group = prepare.add_argument_group("clips")
    group.add_argument(
        "--size",
        dest="size_px",
        metavar="PX",
        **_number(int, 16, "a whole number of pixels, at least 16"),
        help="height and width of the face crops (default: 128)",
    )
    seconds = _number(float, 0.4, "a number of seconds, at least 0.4")
    group.add_argument("--min-seconds", metavar="S", **seconds, help="drop shorter clips (default: 1)")
    group.add_argument("--max-seconds", metavar="S", **seconds, help="split longer clips (default: 10)")
    group.add_argument(
        "--identity",
        choices=("video", "folder"),
        **UNLESS_GIVEN,
        help="what counts as one person: a video, or a folder of VIDEOS (default: video)",
    )


def _add_faces(prepare) -> None:
    group = prepare.add_argument_group("faces")
    group.add_argument(
        "--min-face-px",
        metavar="PX",
        **_number(float, 8, "a number of pixels, at least 8"),
        help="drop clips whose face is smaller in the video (default: 64)",
    )
    group.add_argument(
        "--min-sharpness",
        metavar="X",
        **_number(float, 0, "a number, at least 0"),
        help="drop blurred clips (default: 0.01; 0 keeps all; report.html has the values)",
    )
    group.add_argument("--pads", **sync_option("pads"), help="grow the face boxes by pixels")
    group.add_argument("--face", **sync_option("face"), help="which face to follow, as in sync (default: largest)")
    group.add_argument("--detector", **sync_option("detector"), help="face detector (default: mtcnn)")
    stride = sync_option("detection_stride")
    group.add_argument("--detection-stride", **stride, help="detect in every Nth frame (default: 4)")
    size = sync_option("detection_size")
    group.add_argument("--detection-size", **size, help="longest side for the detector (default: 640)")


def _add_sync(prepare) -> None:
    group = prepare.add_argument_group("sync")
    group.add_argument(
        "--syncnet",
        metavar="DIR",
        **UNLESS_GIVEN,
        help="align the speech of each clip with this SyncNet: a folder, or the file of the Wav2Lip expert",
    )
    group.add_argument(
        "--min-lse-c",
        metavar="X",
        **_number(float, 0, "a number, at least 0"),
        help="drop clips with a lower LSE-C, measured by the SyncNet (default: keep all; report.html has the values)",
    )
    old_name = {"dest": "min_lse_c", "help": argparse.SUPPRESS}
    group.add_argument("--min-confidence", **_number(float, 0, "a number, at least 0"), **old_name)


def _number(kind, smallest: float, expected: str) -> dict:
    return {"type": number(kind, smallest, math.inf, expected), **UNLESS_GIVEN}


def _run_prepare(args: argparse.Namespace) -> int:
    from dataclasses import fields

    from tqdm import tqdm

    from ..prepare.prepare_options import PrepareOptions
    from ..prepare.prepare_videos import prepare_videos

    options = PrepareOptions(
        **{field.name: getattr(args, field.name) for field in fields(PrepareOptions) if field.name in args}
    )
    with tqdm(unit="video", disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = prepare_videos(args.videos, args.output, options, show)
    dropped = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
    ending = f"{f'; dropped: {dropped}' if dropped else ''}; see {report.report}"
    videos = _count(report.num_videos, "video")
    if not report.num_kept:
        raise Diff2LipError(f"{report.folder}: no clip of {videos} was kept{ending}")
    print(f"{report.folder}: {_count(report.num_kept, 'clip')} of {report.kept_s:.0f} s from {videos}{ending}")
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
