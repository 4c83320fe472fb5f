"""Options of what is written, and of files with URLs; [`SyncOptions`] says what they mean."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..media.containers import HARDWARE_DECODERS
from ..media.encoders import CODECS
from ..stores.remote_files import DEFAULT_CACHE_GB
from .face_options import FaceOptions
from .option import option
from .option_values import Choice, FileOrFunction, FilePaths, Flag, LocalPath, MediaPath, Number


@dataclass(frozen=True, kw_only=True)
class PictureOptions(FaceOptions):
    """How the painted part looks in its frame."""

    restore: str | Path | Callable[[np.ndarray], np.ndarray] | None = option(
        None,
        FileOrFunction("a file of weights, or a function from face to face"),
        "weights of a face restorer or an enlarger (GFPGAN, RestoreFormer, ESRGAN, …) that improves the painted part",
        "output",
        metavar="FILE",
        scope="batch",
    )
    restore_strength: float = option(
        1.0,
        Number(float, 0, 1, "a number in [0, 1]"),
        "how much of the restored mouth is shown, 0 to 1 (default: 1)",
        "output",
        metavar="SHARE",
    )
    detail: str = option(
        "none",
        Choice(("video", "none")),
        "sharpen the painted mouth by other frames of the video (video), or enlarge it plainly (none, the default)",
        "output",
    )
    detail_from: Sequence[str | Path] = option(
        (),
        FilePaths(),
        "more videos of the same person, to take detail from",
        "output",
        metavar="VIDEO",
        scope="video",
    )
    mask: str | Path | None = option(
        None,
        MediaPath(),
        "a video, a folder of images or one image, white where nothing is to be painted (a hand, a microphone)",
        "output",
        metavar="VIDEO_OR_FOLDER",
    )
    keep_occluders: bool = option(
        False, Flag(), "keep hands and microphones before the face, where they are found", "output"
    )


@dataclass(frozen=True, kw_only=True)
class OutputOptions(PictureOptions):
    """How the output is compressed and marked, and files with URLs."""

    codec: str | None = option(
        None, Choice(tuple(CODECS)), "how the video is compressed (default: h264, hevc for HDR)", "output"
    )
    crf: int | None = option(
        None,
        Number(int, 0, 51, "a whole number from 0 to 51"),
        "quality, 0 to 51, lower is better and larger (default: the eye cannot tell the frames from the source)",
        "output",
        metavar="CRF",
        rivals="exactness",
    )
    lossless: bool = option(
        False, Flag(), "keep every pixel that is not painted to the bit", "output", rivals="exactness"
    )
    mark: bool = option(
        True, Flag(), "do not say in the metadata that the speech is synthesized", "output", flag="--no-mark"
    )
    hwaccel: str | None = option(
        None,
        Choice(HARDWARE_DECODERS),
        "decode the face video on another chip, if FFmpeg and the machine have it (default: on the CPU)",
        "output",
        scope="batch",
    )
    cache_dir: str | Path | None = option(
        None,
        LocalPath("a folder"),
        "folder for copies of inputs that have URLs (default: ~/.cache/diff2lip)",
        "files with URLs",
        metavar="DIR",
        scope="batch",
        changes_output=False,
    )
    cache_gb: float = option(
        DEFAULT_CACHE_GB,
        Number(float, 0, math.inf, "a number of gigabytes"),
        f"most gigabytes that these copies take (default: {DEFAULT_CACHE_GB})",
        "files with URLs",
        metavar="GB",
        scope="batch",
        changes_output=False,
    )
    allow_remote: bool = option(
        False,
        Flag(),
        "let inputs come from the web, http and https; never from private addresses",
        "files with URLs",
        scope="batch",
        changes_output=False,
    )
    watermark: bool = option(
        False, Flag(), "mark the picture invisibly as lip-synced; diff2lip verify finds it after compression", "output"
    )
    credentials: str | Path | None = option(
        None,
        LocalPath(),
        "sign content credentials (C2PA) into the output: a PEM file with private key and certificates",
        "output",
        metavar="PEM",
        scope="batch",
    )
