"""The command `diff2lip sync`."""

import argparse

from tqdm import tqdm

from ..lipsync.job import SyncResult
from ..lipsync.options import SyncOptions
from ..lipsync.remote_job import check_remote_output, local_inputs
from ..lipsync.run import sync_video
from ..lipsync.segments import read_segments
from ..lipsync.speech import check_speech
from ..media.reader import probe_video
from ..output_paths import check_output_path
from ..stores.urls import Url, located
from .commands import COMMANDS
from .options import add_model, add_options, load_model, options_of, show_restorer
from .progress_lines import ProgressLines

# Less speech than this, about a word, may be cut at the end without a remark.
CUT_SPEECH_S = 0.5


def add_sync(commands) -> None:
    """Adds the command."""
    sync = commands.add_parser(
        "sync",
        help=COMMANDS["sync"],
        description="Makes the lips in a video follow a recording. Use it on people who agreed to it.",
    )
    sync.add_argument(
        "--video", required=True, metavar="FILE", help="video with the face; an image, or a folder of numbered images"
    )
    sync.add_argument("--audio", metavar="FILE", help="speech, from an audio or video file (default: the video's own)")
    sync.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="video to write: .mp4, .m4v, .mov or .mkv; no suffix: a folder of PNG",
    )
    add_model(sync)
    add_options(sync, one_video=True)
    sync.add_argument(
        "--progress",
        choices=("bar", "json"),
        default="bar",
        help="how progress is shown: a bar on a terminal (the default), or JSON lines for programs",
    )
    sync.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    lines = ProgressLines(args.progress == "json")
    with lines.naming_errors():
        _sync(args, lines)


def _sync(args: argparse.Namespace, lines: ProgressLines) -> None:
    lines.stage("check")
    options = SyncOptions(**options_of(args))
    _check(args, options)
    show_restorer(options, args.device)
    lines.stage("load")
    pipe = load_model(args, args.device, args.dtype)
    lines.stage("sync")
    with tqdm(unit="frame", disable=True if lines.is_on else None) as bar:

        def show(done: int, expected: int | None) -> None:
            lines.frames(done, expected)
            bar.total = expected
            bar.update(done - bar.n)

        result = sync_video(pipe, args.video, args.audio, args.output, on_progress=show, **options_of(args))
    _show_result(result, lines)


def _check(args: argparse.Namespace, options: SyncOptions) -> None:
    """Checks the inputs and the output, so that a wrong file name fails before a model is loaded."""
    place, given = located(args.output), None if args.audio is None else located(args.audio)
    with local_inputs(located(args.video), given, options) as (video, audio, local_options):
        if isinstance(place, Url):
            check_remote_output(place, located(args.video), given, options)
        else:
            check_output_path(args.output, video, audio, *local_options.files)
        probe_video(video, options.max_pixels)
        if options.segments is None:
            check_speech(local_options.drive or audio or video)
        else:
            for recording in {segment.audio for segment in read_segments(options.segments)}:
                check_speech(recording)


def _show_result(result: SyncResult, lines: ProgressLines) -> None:
    if lines.is_on:
        lines.result(
            output=str(result.output),
            num_frames=result.num_frames,
            num_faceless_frames=result.num_faceless_frames,
            fps=str(result.fps),
            duration_s=round(result.duration_s, 6),
            speech_s=round(result.speech_s, 6),
        )
        return
    faceless = f", {result.num_faceless_frames} without the face" if result.num_faceless_frames else ""
    cut_s = result.speech_s - result.duration_s
    cut = f", {cut_s:.2f} s of speech left out (--length audio keeps it)" if cut_s > CUT_SPEECH_S else ""
    print(f"{result.output}: {result.num_frames} frames, {result.duration_s:.2f} s{faceless}{cut}")
