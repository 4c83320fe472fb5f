"""Options of sampling, of the speech and of the length; [`SyncOptions`] says what they mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..media.containers import LARGEST_PIXELS
from ..media.length import EXTENSIONS, LENGTHS
from ..media.reader import SANE_FPS
from .option import option
from .option_values import Choice, FilePath, Flag, Number, SegmentList, WordOrPath, read_rate

ANY_SEED = Number(int, -(2**63), 2**64 - 1, "a whole number of 64 bits")  # torch's range
MAX_GUIDANCE_SCALE = 100
MAX_DURATION_S = 4 * 3600
POSITIVE = Number(int, 1, math.inf, "a whole number above 0")


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the mouth is painted, and whose it is."""

    num_inference_steps: int | None = option(
        None, POSITIVE, "denoising steps (default: the model's own, 25)", "sampling", flag="--steps", metavar="N"
    )
    eta: float = option(
        0.0, Number(float, 0, 1, "a number in [0, 1]"), "noise in DDIM, 0 to 1 (default: 0)", "sampling", metavar="ETA"
    )
    guidance_scale: float | None = option(
        None,
        Number(float, 1, MAX_GUIDANCE_SCALE, f"a number from 1 (off) to {MAX_GUIDANCE_SCALE}"),
        "how much the speech counts; above 1 the mouth moves more, at twice the work (default: the model's own, 1)",
        "sampling",
        metavar="SCALE",
    )
    guidance_rescale: float = option(
        0.0,
        Number(float, 0, 1, "a number in [0, 1]"),
        "how far the contrast that guidance adds is taken back, 0 to 1 (default: 0)",
        "sampling",
        metavar="SHARE",
    )
    seed: int = option(7, ANY_SEED, "seed of the noise (default: 7)", "sampling", metavar="N")
    batch_size: int | None = option(
        None,
        POSITIVE,
        "frames at a time (default: 4 on a CPU, else 32)",
        "sampling",
        metavar="N",
        scope="batch",
        changes_output=False,
    )
    mode: str = option(
        "cross",
        Choice(("cross", "reconstruction", "random")),
        "where the identity comes from: each frame itself (cross, the default), the first frame, which is also"
        " repeated as the video (reconstruction), or one random frame (random)",
        "sampling",
    )
    reference: str | Path | None = option(
        None,
        WordOrPath(("frame", "best")),
        "which frame shows the identity: each one itself (frame, the default), the sharpest, most frontal one with its"
        " mouth shut (best), or an image or video of the person",
        "sampling",
        metavar="WHICH",
    )


@dataclass(frozen=True, kw_only=True)
class SpeechOptions(SamplingOptions):
    """What the mouth moves to."""

    drive: str | Path | None = option(
        None,
        FilePath(),
        "speech that moves the mouth, where --audio is something else to be heard (default: --audio)",
        "speech",
        metavar="FILE",
    )
    segments: str | Path | Sequence[Mapping[str, Any]] | None = option(
        None,
        SegmentList(),
        "who speaks when: a JSON or CSV file with start, end, audio and face of each part of a dialogue",
        "speech",
        metavar="FILE",
    )
    rest: bool = option(
        False, Flag(), "let the mouth rest in pauses of the speech, also where there is noise", "speech"
    )


@dataclass(frozen=True, kw_only=True)
class LengthOptions(SpeechOptions):
    """How long the output is, and how large its frames may be."""

    fps: Fraction | float | None = option(
        None,
        Number(read_rate, *SANE_FPS, "a number from 0.1 to 300, such as 25 or 30000/1001"),
        "frame rate of the output (default: the video's own)",
        "length",
        metavar="FPS",
    )
    length: str | None = option(
        None,
        Choice(LENGTHS),
        "what the output is as long as (default: the video; for a single image the audio)",
        "length",
    )
    extend: str = option(
        "pingpong",
        Choice(EXTENSIONS),
        "how a video that is too short for --length is continued: back and forth (pingpong, the default), from the"
        " start (loop), with its last frame (freeze)",
        "length",
    )
    max_duration: float = option(
        MAX_DURATION_S,
        Number(float, 0, math.inf, "a number of seconds"),
        f"longest output, and longest recording, in seconds (default: {MAX_DURATION_S}, four hours)",
        "length",
        metavar="SECONDS",
        scope="batch",
        changes_output=False,
    )
    max_pixels: int | None = option(
        None,
        Number(int, 1, LARGEST_PIXELS, f"a whole number from 1 to {LARGEST_PIXELS}"),
        "most pixels of a frame: larger videos are refused, larger stills scaled down (default: 4K, for stills half)",
        "length",
        metavar="N",
        scope="batch",
    )
