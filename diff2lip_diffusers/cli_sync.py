"""The command `diff2lip sync`."""

import argparse
import logging
import sys
from dataclasses import fields
from fractions import Fraction

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from huggingface_hub.utils import disable_progress_bars
from tqdm import tqdm

from .cli_values import FLAG, UNLESS_GIVEN, box, face, number_option, pads
from .clip_length import EXTENSIONS, LENGTHS
from .encoders import CODECS
from .face_detectors import FACE_DETECTORS
from .hub import DTYPES, load_pipeline
from .lipsync import sync_video
from .media import probe_video
from .output_paths import check_output_path
from .schedulers import SCHEDULERS, make_scheduler
from .speech import check_speech
from .sync_options import MODES, SyncOptions

# Less than a word that is cut at the end is not worth a remark.
UNHEARD_S = 0.5


def add_sync(commands) -> None:
    """Adds the command."""
    sync = commands.add_parser(
        "sync",
        help="make the lips in a video follow a recording",
        description="Makes the lips in a video follow a recording. Use it on people who agreed to it.",
    )
    sync.add_argument("--model", required=True, metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    sync.add_argument(
        "--video", required=True, metavar="FILE", help="video with the face; an image, or a folder of numbered images"
    )
    sync.add_argument("--audio", metavar="FILE", help="speech, from a sound or video file (default: the video's own)")
    sync.add_argument(
        "--output",
        required=True,
        metavar="FILE",
        help="video to write: .mp4, .m4v, .mov or .mkv; no suffix: a folder of PNG",
    )
    sync.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    sync.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    sync.add_argument("--variant", help="variant of the weight files, such as fp16")
    sync.add_argument("--scheduler", choices=SCHEDULERS, help="sampler (default: the model's own)")
    _add_sampling(sync.add_argument_group("sampling"))
    _add_length(sync.add_argument_group("length"))
    _add_face(sync.add_argument_group("face"))
    _add_picture(sync.add_argument_group("picture"))
    sync.add_argument("--reproduce", **FLAG, help="do what the original program does to the letter")
    sync.set_defaults(run=_run)


def _add_sampling(group) -> None:
    group.add_argument(
        "--steps",
        dest="num_inference_steps",
        metavar="N",
        **number_option("num_inference_steps", int),
        help="denoising steps (default: the model's own, 25)",
    )
    group.add_argument("--eta", **number_option("eta", float), help="noise in DDIM, 0 to 1 (default: 0)")
    group.add_argument("--seed", **number_option("seed", int), help="decides the noise (default: 7)")
    group.add_argument(
        "--batch-size", **number_option("batch_size", int), help="frames at a time (default: 4 on a CPU, else 32)"
    )
    group.add_argument(
        "--mode",
        choices=MODES,
        **UNLESS_GIVEN,
        help="where the identity comes from: each frame itself (cross, the default), the first frame, which is also"
        " repeated as the picture (reconstruction), or one random frame (random)",
    )


def _add_length(group) -> None:
    group.add_argument(
        "--fps", **number_option("fps", Fraction), help="frame rate of the output (default: the video's own)"
    )
    group.add_argument(
        "--length",
        choices=LENGTHS,
        **UNLESS_GIVEN,
        help="what the output is as long as (default: the video; for a single image the audio)",
    )
    group.add_argument(
        "--extend",
        choices=EXTENSIONS,
        **UNLESS_GIVEN,
        help="how a video goes on that is too short for --length: back and forth (pingpong, the default), from the"
        " start (loop), with its last frame (freeze)",
    )


def _add_face(group) -> None:
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        "--box",
        type=box,
        metavar="X1,Y1,X2,Y2",
        **UNLESS_GIVEN,
        help="fixed face box, for drawn faces say",
    )
    place.add_argument("--detector", choices=FACE_DETECTORS, **UNLESS_GIVEN, help="face detector (default: mtcnn)")
    place.add_argument("--voxceleb2-crop", **FLAG, help="the video is a VoxCeleb2 face crop")
    group.add_argument(
        "--face",
        type=face,
        metavar="WHICH",
        **UNLESS_GIVEN,
        help="which face to follow: largest (the default), a number from 0 on the left, or a point X,Y",
    )
    group.add_argument(
        "--pads",
        type=pads,
        metavar="T,B,L,R",
        **UNLESS_GIVEN,
        help="grow detected boxes by pixels; --pads=-5,… to shrink",
    )
    group.add_argument(
        "--detection-stride",
        metavar="N",
        **number_option("detection_stride", int),
        help="look for faces in every Nth frame, and where something changes (default: 4)",
    )
    group.add_argument(
        "--detection-size",
        metavar="PX",
        **number_option("detection_size", int),
        help="longest side of what the detector sees (default: 640)",
    )
    group.add_argument(
        "--detections",
        metavar="FILE",
        **UNLESS_GIVEN,
        help="boxes to use, or to write if the file is missing",
    )


def _add_picture(group) -> None:
    group.add_argument(
        "--codec", choices=CODECS, **UNLESS_GIVEN, help="how pictures are compressed (default: h264, hevc for HDR)"
    )
    exactness = group.add_mutually_exclusive_group()
    exactness.add_argument(
        "--quality",
        metavar="CRF",
        **number_option("quality", int),
        help="0 to 51, lower is better and larger (default: what the eye cannot tell from the source)",
    )
    exactness.add_argument("--lossless", **FLAG, help="keep every pixel that is not painted to the bit")
    group.add_argument(
        "--no-mark",
        dest="mark",
        action="store_false",
        **UNLESS_GIVEN,
        help="do not say in the metadata that the speech is synthesised",
    )


def _run(args: argparse.Namespace) -> None:
    # A wrong file name should not cost the time of loading a model.
    check_output_path(args.output, args.video, args.audio)
    probe_video(args.video)
    check_speech(args.audio or args.video)
    SyncOptions(**_options(args))
    set_verbosity(logging.CRITICAL)  # what goes wrong comes back as an exception, and is said once
    if not sys.stderr.isatty():
        disable_progress_bar()
        disable_progress_bars()
    pipe = load_pipeline(args.model, args.device, args.dtype, args.variant)
    if args.scheduler:
        pipe.scheduler = make_scheduler(args.scheduler, pipe.scheduler.config)
    with tqdm(unit="frame", disable=None) as bar:

        def show(done: int, expected: int | None) -> None:
            bar.total = expected
            bar.update(done - bar.n)

        result = sync_video(pipe, args.video, args.audio, args.output, on_progress=show, **_options(args))
    faceless = f", {result.num_faceless_frames} without the face" if result.num_faceless_frames else ""
    unheard_s = result.speech_s - result.duration_s
    unheard = f", {unheard_s:.2f} s of speech left out (--length audio keeps it)" if unheard_s > UNHEARD_S else ""
    print(f"{result.output}: {result.num_frames} frames, {result.duration_s:.2f} s{faceless}{unheard}")


def _options(args: argparse.Namespace) -> dict:
    """The fields of `SyncOptions` that were given."""
    names = [field.name for field in fields(SyncOptions)]
    return {name: getattr(args, name) for name in names if name in args}
