"""The options of `sync_video` and of the model on the command line, for all commands that sync."""

import argparse
import logging
import sys
from dataclasses import fields

from diffusers.utils.logging import disable_progress_bar, set_verbosity
from huggingface_hub.utils import disable_progress_bars

from ..faces.detectors import FACE_DETECTORS
from ..hub import DTYPES, load_pipeline
from ..lipsync.option_values import FLAG, UNLESS_GIVEN, box, face, number_option, pads, rate
from ..lipsync.options import MODES, SyncOptions
from ..media.encoders import CODECS
from ..media.length import EXTENSIONS, LENGTHS
from ..pipeline_diff2lip import Diff2LipPipeline
from ..schedulers import SCHEDULERS, make_scheduler


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds which model, where and how precise."""
    parser.add_argument("--model", required=True, metavar="DIR_OR_REPO", help="model folder, or repository on the Hub")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the fastest there is)")
    parser.add_argument("--dtype", choices=DTYPES, help="precision (default: the fastest good one)")
    parser.add_argument("--variant", help="variant of the weight files, such as fp16")
    parser.add_argument("--scheduler", choices=SCHEDULERS, help="sampler (default: the model's own)")


def load_model(args: argparse.Namespace, device: str | None, dtype: str | None) -> Diff2LipPipeline:
    """The pipeline that the arguments name; quiet."""
    set_verbosity(logging.CRITICAL)  # what goes wrong comes back as an exception, and is said once
    if not sys.stderr.isatty():
        disable_progress_bar()
        disable_progress_bars()
    pipe = load_pipeline(args.model, device, dtype, args.variant)
    if args.scheduler:
        pipe.scheduler = make_scheduler(args.scheduler, pipe.scheduler.config)
    return pipe


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the fields of `SyncOptions`."""
    _add_sampling(parser.add_argument_group("sampling"))
    _add_length(parser.add_argument_group("length"))
    _add_face(parser.add_argument_group("face"))
    _add_picture(parser.add_argument_group("picture"))
    parser.add_argument("--reproduce", **FLAG, help="do what the original program does to the letter")


def options_of(args: argparse.Namespace) -> dict:
    """The fields of `SyncOptions` that were given."""
    names = [field.name for field in fields(SyncOptions)]
    return {name: getattr(args, name) for name in names if name in args}


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
        "--fps", **number_option("fps", rate), help="frame rate of the output (default: the video's own)"
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
