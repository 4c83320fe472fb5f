"""The options of a lip-sync job, each declared once: values, help, and where it can be chosen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..boxes import FaceBox
from ..faces.detectors import FACE_DETECTORS, FaceDetector
from ..media.containers import LARGEST_PIXELS
from ..media.encoders import CODECS
from ..media.length import EXTENSIONS, LENGTHS
from ..media.reader import SANE_FPS
from ..stores.remote_files import DEFAULT_CACHE_GB
from .option_values import (
    Box,
    Choice,
    FaceChoice,
    FileOrFunction,
    FilePath,
    FilePaths,
    Flag,
    LocalPath,
    MediaPath,
    Number,
    OptionKind,
    Pads,
    SegmentList,
    WordOrFunction,
    WordOrPath,
    read_rate,
)

# Old names, which still work everywhere, and those that took their place.
OLD_NAMES = {"quality": "crf"}
ANY_SEED = Number(int, -(2**63), 2**64 - 1, "a whole number of 64 bits")  # torch's range
MAX_GUIDANCE_SCALE = 100
MAX_DURATION_S = 4 * 3600
# Which frame shows the identity, where nobody says otherwise.
REFERENCE = "frame"
POSITIVE = Number(int, 1, math.inf, "a whole number above 0")


@dataclass(frozen=True)
class Option:
    """What the command line, lists of pairs and Python know of a field of [`SyncOptions`].

    Attributes:
        kind: which values it takes.
        help: on the command line; empty where it has no place there.
        group: its heading in the help; None for none.
        flag: on the command line; the field's name by default.
        metavar: stands for its value in the help.
        rivals: a name for options of which the command line takes one at most.
        scope: where it can differ: from one `"pair"` to the next, between runs on a `"batch"`, or it belongs to a
            single `"video"`.
        changes_output: whether the output depends on it.
    """

    kind: OptionKind
    help: str = ""
    group: str | None = None
    flag: str | None = None
    metavar: str | None = None
    rivals: str | None = None
    scope: str = "pair"
    changes_output: bool = True


def _option(default: Any, kind: OptionKind, help: str = "", group: str | None = None, **more) -> Any:
    return field(default=default, metadata={"option": Option(kind, help, group, **more)})


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """How [`sync_video`] works; every field is one of its keyword arguments.

    Args:
        num_inference_steps: denoising steps; the pipeline's own number by default.
        eta: weight of the noise in DDIM, in [0, 1].
        guidance_scale: how much the speech counts: the prediction without speech, plus so many times the difference
            that the speech makes. 1 is off; more doubles the work. The pipeline's own scale by default.
        guidance_rescale: how far the contrast that guidance adds is taken back, in [0, 1].
        seed: seed of the noise, which all frames share.
        batch_size: frames sampled at a time; by default 4 on a CPU, 32 elsewhere. Does not change the result.
        mode: where the identity comes from: `"cross"`, as `reference` says; `"reconstruction"`, the first frame, which
            is also repeated as the video; `"random"`, one frame drawn with `seed`.
        reference: which frame shows the model who the person is: `"frame"`, each one itself, as in the paper;
            `"best"`, one of the first 512 that is sharp and frontal and has its mouth nearly shut; or an image or a
            video of the same person, of which the best frame is taken. Frames of another shot or light, which do not
            look like the best one, show themselves. The modes `"reconstruction"` and `"random"` choose for themselves.
        drive: file with the speech that moves the mouth, if another one than `audio` is to be heard.
        segments: who speaks when, where several people or recordings take turns or speak at once: a JSON or CSV file,
            or mappings, with `start` and `end` in seconds, `audio`, `face` as the option of that name, and options of
            its sampling. The people are followed all at once. Without `audio`, the recordings are heard instead of the
            video's own sound while they last.
        rest: let the mouth rest where the speech pauses for 0.2 s or more: what the model hears fades to silence
            within 80 ms. Noise in a pause is told from speech by the model's audio embedding.
        fps: frames a second of the output; the video's own by default, 25 for images.
        length: how long the output is: `"video"`, `"audio"`, the `"shortest"` or the `"longest"` of both. By default
            as long as the video, or as the speech where the video is a single image.
        extend: how a video that is too short is continued: `"pingpong"`, back and forth; `"loop"`; `"freeze"`.
        max_duration: longest output in seconds; a longer one is refused, and a longer recording of speech as well.
        max_pixels: most pixels of a frame; a video with larger ones is refused, a larger still is scaled down; by
            default a little more than 4K, and half of that for stills.
        box: a fixed face box (x1, y1, x2, y2) in pixels instead of detection, for drawn faces for example.
        detector: a name known to `load_face_detector`, or a function that takes a list of frames, uint8 RGB
            (H, W, 3), and returns for each the list of its faces as `Detection`.
        voxceleb2_crop: take the face where VoxCeleb2's face crops have it, instead of detection.
        face: which face to follow: `"largest"`; a number, counted from 0 on the left; or a point (x, y) in pixels on
            it, in the frame where the choice is made.
        pads: pixels to grow every detected box by: top, bottom, left, right.
        detection_stride: run the detector on every that-many-th frame, and on those between where something changes.
        detection_size: longest side in pixels of the thumbnails that the detector sees.
        detections: file that keeps the boxes of all faces: used if it exists, otherwise written. Boxes from it are
            tracked and smoothed as those of a detector are.
        restore: weights of a network that improves the painted part of each frame, a file of any architecture that
            spandrel knows: a face restorer (GFPGAN, RestoreFormer, CodeFormer) or an enlarger (ESRGAN and the like);
            or a function that improves a painted face before it is pasted: takes and returns a square (S, S, 3)
            float32 RGB in [0, 1]; what it returns may be larger. With `detail="video"` a function gets the sharpened
            face, (R, R, 3): R is a multiple of a quarter of the model's S, at most 512 or 2 S, and may differ
            between stretches.
        restore_strength: how much of what the network of `restore` makes is shown, in [0, 1].
        detail: `"video"` gives the painted mouth the detail that other frames of the video show; `"none"` enlarges it
            plainly. Images and mode `"reconstruction"` have no other frames.
        detail_from: more videos of the same person, whose frames give detail, too.
        mask: a video, a folder of numbered images or one image, as large as the face video and with as many frames:
            white where it must not be painted, because a hand or a microphone is before the face.
        keep_occluders: leave out places where the painted part does not fit the frame at its border, as at a hand or a
            microphone before the face. Found by differences alone: beards and lowered chins may be kept, too.
        codec: how the video is compressed, a key of `CODECS`; by default H.264, HEVC for HDR.
        crf: quality of the video, 0 to 51 (CRF), lower is better; by default the eye cannot tell the frames from the
            source.
        lossless: keep every pixel that is not painted to the bit.
        mark: say in the file's metadata that the speech is synthesized, and by which program.
        cache_dir: folder on a local disk for copies of inputs that have URLs, and for outputs until they are
            uploaded; `~/.cache/diff2lip` by default. The processes of a machine share it.
        cache_gb: the most that these copies take, in 10^9 bytes.
        allow_remote: whether inputs may come from the web, `http://` and `https://`; private addresses are refused.
        watermark: mark the picture invisibly as lip-synced, so that `verify` finds it after compression and scaling.
        credentials: a PEM file with a private key and the chain of its certificates, which sign content credentials
            (C2PA) into an output of mp4 or mov. Signed files are never byte-identical.
        reproduce: do what the original does to the letter: 25 fps, its smoothing, whole boxes pasted with a hard seam,
            16 kHz mono audio, no frame beyond the last complete audio window, an error at a frame without a face.

    Raises:
        ValueError: if a value is out of range, or two contradict each other.
    """

    num_inference_steps: int | None = _option(
        None, POSITIVE, "denoising steps (default: the model's own, 25)", "sampling", flag="--steps", metavar="N"
    )
    eta: float = _option(
        0.0, Number(float, 0, 1, "a number in [0, 1]"), "noise in DDIM, 0 to 1 (default: 0)", "sampling", metavar="ETA"
    )
    guidance_scale: float | None = _option(
        None,
        Number(float, 1, MAX_GUIDANCE_SCALE, f"a number from 1 (off) to {MAX_GUIDANCE_SCALE}"),
        "how much the speech counts; above 1 the mouth moves more, at twice the work (default: the model's own, 1)",
        "sampling",
        metavar="SCALE",
    )
    guidance_rescale: float = _option(
        0.0,
        Number(float, 0, 1, "a number in [0, 1]"),
        "how far the contrast that guidance adds is taken back, 0 to 1 (default: 0)",
        "sampling",
        metavar="SHARE",
    )
    seed: int = _option(7, ANY_SEED, "seed of the noise (default: 7)", "sampling", metavar="N")
    batch_size: int | None = _option(
        None,
        POSITIVE,
        "frames at a time (default: 4 on a CPU, else 32)",
        "sampling",
        metavar="N",
        scope="batch",
        changes_output=False,
    )
    mode: str = _option(
        "cross",
        Choice(("cross", "reconstruction", "random")),
        "where the identity comes from: each frame itself (cross, the default), the first frame, which is also"
        " repeated as the video (reconstruction), or one random frame (random)",
        "sampling",
    )
    reference: str | Path | None = _option(
        None,
        WordOrPath(("frame", "best")),
        "which frame shows the identity: each one itself (frame, the default), the sharpest, most frontal one with its"
        " mouth shut (best), or an image or video of the person",
        "sampling",
        metavar="WHICH",
    )
    drive: str | Path | None = _option(
        None,
        FilePath(),
        "speech that moves the mouth, where --audio is something else to be heard (default: --audio)",
        "speech",
        metavar="FILE",
    )
    segments: str | Path | Sequence[Mapping[str, Any]] | None = _option(
        None,
        SegmentList(),
        "who speaks when: a JSON or CSV file with start, end, audio and face of each part of a dialogue",
        "speech",
        metavar="FILE",
    )
    rest: bool = _option(
        False, Flag(), "let the mouth rest in pauses of the speech, also where there is noise", "speech"
    )
    fps: Fraction | float | None = _option(
        None,
        Number(read_rate, *SANE_FPS, "a number from 0.1 to 300, such as 25 or 30000/1001"),
        "frame rate of the output (default: the video's own)",
        "length",
        metavar="FPS",
    )
    length: str | None = _option(
        None,
        Choice(LENGTHS),
        "what the output is as long as (default: the video; for a single image the audio)",
        "length",
    )
    extend: str = _option(
        "pingpong",
        Choice(EXTENSIONS),
        "how a video that is too short for --length is continued: back and forth (pingpong, the default), from the"
        " start (loop), with its last frame (freeze)",
        "length",
    )
    max_duration: float = _option(
        MAX_DURATION_S,
        Number(float, 0, math.inf, "a number of seconds"),
        f"longest output, and longest recording, in seconds (default: {MAX_DURATION_S}, four hours)",
        "length",
        metavar="SECONDS",
        scope="batch",
        changes_output=False,
    )
    max_pixels: int | None = _option(
        None,
        Number(int, 1, LARGEST_PIXELS, f"a whole number from 1 to {LARGEST_PIXELS}"),
        "most pixels of a frame: larger videos are refused, larger stills scaled down (default: 4K, for stills half)",
        "length",
        metavar="N",
        scope="batch",
    )
    box: FaceBox | Sequence[float] | None = _option(
        None,
        Box(),
        "fixed face box, for drawn faces for example",
        "face",
        metavar="X1,Y1,X2,Y2",
        rivals="place",
    )
    detector: str | FaceDetector = _option(
        "mtcnn",
        WordOrFunction(tuple(FACE_DETECTORS)),
        "face detector (default: mtcnn)",
        "face",
        rivals="place",
        scope="batch",
    )
    voxceleb2_crop: bool = _option(False, Flag(), "the video is a VoxCeleb2 face crop", "face", rivals="place")
    face: str | int | Sequence[float] = _option(
        "largest",
        FaceChoice(),
        "which face to follow: largest (the default), a number from 0 on the left, or a point X,Y",
        "face",
        metavar="WHICH",
    )
    pads: tuple[int, int, int, int] = _option(
        (0, 0, 0, 0), Pads(), "grow detected boxes by pixels; --pads=-5,… to shrink", "face", metavar="T,B,L,R"
    )
    detection_stride: int = _option(
        4,
        POSITIVE,
        "run the detector on every Nth frame, and where something changes (default: 4)",
        "face",
        metavar="N",
    )
    detection_size: int = _option(
        640,
        Number(int, 64, math.inf, "a whole number of pixels, at least 64"),
        "longest side of what the detector sees (default: 640)",
        "face",
        metavar="PX",
    )
    detections: str | Path | None = _option(
        None,
        LocalPath(),
        "boxes of all faces to use, or to write if the file is missing",
        "face",
        metavar="FILE",
        scope="video",
        changes_output=False,
    )
    restore: str | Path | Callable[[np.ndarray], np.ndarray] | None = _option(
        None,
        FileOrFunction("a file of weights, or a function from face to face"),
        "weights of a face restorer or an enlarger (GFPGAN, RestoreFormer, ESRGAN, …) that improves the painted part",
        "output",
        metavar="FILE",
        scope="batch",
    )
    restore_strength: float = _option(
        1.0,
        Number(float, 0, 1, "a number in [0, 1]"),
        "how much of the restored mouth is shown, 0 to 1 (default: 1)",
        "output",
        metavar="SHARE",
    )
    detail: str = _option(
        "none",
        Choice(("video", "none")),
        "sharpen the painted mouth by other frames of the video (video), or enlarge it plainly (none, the default)",
        "output",
    )
    detail_from: Sequence[str | Path] = _option(
        (),
        FilePaths(),
        "more videos of the same person, to take detail from",
        "output",
        metavar="VIDEO",
        scope="video",
    )
    mask: str | Path | None = _option(
        None,
        MediaPath(),
        "a video, a folder of images or one image, white where nothing is to be painted (a hand, a microphone)",
        "output",
        metavar="VIDEO_OR_FOLDER",
    )
    keep_occluders: bool = _option(
        False, Flag(), "keep hands and microphones before the face, where they are found", "output"
    )
    codec: str | None = _option(
        None, Choice(tuple(CODECS)), "how the video is compressed (default: h264, hevc for HDR)", "output"
    )
    crf: int | None = _option(
        None,
        Number(int, 0, 51, "a whole number from 0 to 51"),
        "quality, 0 to 51, lower is better and larger (default: the eye cannot tell the frames from the source)",
        "output",
        metavar="CRF",
        rivals="exactness",
    )
    lossless: bool = _option(
        False, Flag(), "keep every pixel that is not painted to the bit", "output", rivals="exactness"
    )
    mark: bool = _option(
        True, Flag(), "do not say in the metadata that the speech is synthesized", "output", flag="--no-mark"
    )
    cache_dir: str | Path | None = _option(
        None,
        LocalPath("a folder"),
        "folder for copies of inputs that have URLs (default: ~/.cache/diff2lip)",
        "files with URLs",
        metavar="DIR",
        scope="batch",
        changes_output=False,
    )
    cache_gb: float = _option(
        DEFAULT_CACHE_GB,
        Number(float, 0, math.inf, "a number of gigabytes"),
        f"most gigabytes that these copies take (default: {DEFAULT_CACHE_GB})",
        "files with URLs",
        metavar="GB",
        scope="batch",
        changes_output=False,
    )
    allow_remote: bool = _option(
        False,
        Flag(),
        "let inputs come from the web, http and https; never from private addresses",
        "files with URLs",
        scope="batch",
        changes_output=False,
    )
    watermark: bool = _option(
        False, Flag(), "mark the picture invisibly as lip-synced; diff2lip verify finds it after compression", "output"
    )
    credentials: str | Path | None = _option(
        None,
        LocalPath(),
        "sign content credentials (C2PA) into the output: a PEM file with private key and certificates",
        "output",
        metavar="PEM",
        scope="batch",
    )
    reproduce: bool = _option(False, Flag(), "do what the original program does to the letter")
    quality: InitVar[int | None] = None  # see OLD_NAMES

    def __post_init__(self, quality: int | None):
        if quality is not None and self.crf is None:
            object.__setattr__(self, "crf", quality)
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None or one.default is not None:
                object.__setattr__(self, one.name, _checked(one.name, OPTIONS[one.name].kind, value))
        self._check_combinations()
        if self.watermark and (self.lossless or self.reproduce):
            raise ValueError("`watermark` changes every pixel a little; leave out `lossless` and `reproduce`")

    def _check_combinations(self) -> None:
        if self.box is not None and self.voxceleb2_crop:
            raise ValueError("`box` and `voxceleb2_crop` exclude each other; pass one of them")
        if self.detections is not None and not self.detects:
            raise ValueError("`detections` is of no use where `box` or `voxceleb2_crop` says where the face is")
        if self.reproduce and (self.length not in (None, "shortest") or self.restore is not None):
            raise ValueError("`reproduce` does what the original does; leave out `length` and `restore`")
        if self.reproduce and (self.mask is not None or self.keep_occluders):
            raise ValueError("`reproduce` does what the original does; leave out `mask` and `keep_occluders`")
        if self.reproduce and (self.rest or self.drive is not None):
            raise ValueError("`reproduce` does what the original does; leave out `rest` and `drive`")
        if self.reference not in (None, "frame") and (self.reproduce or self.mode != "cross"):
            raise ValueError('`reference` needs mode "cross", without `reproduce`; leave it out')
        if self.segments is not None:
            self._check_beside_segments()
        if self.detail_from and not self.takes_detail:
            raise ValueError('`detail_from` needs `detail` "video", without `reproduce` and mode reconstruction')
        if self.crf is not None and (self.lossless or (self.codec and CODECS[self.codec].default_crf is None)):
            raise ValueError("`crf` cannot be chosen with `lossless`, prores or ffv1; leave it out")

    def _check_beside_segments(self) -> None:
        given = {
            "drive": self.drive is not None,
            "face": self.face != "largest",
            "box": self.box is not None,
            "voxceleb2_crop": self.voxceleb2_crop,
            "reproduce": self.reproduce,
            "mode": self.mode != "cross",
            "reference": isinstance(self.reference, Path),
            "detail_from": bool(self.detail_from),
        }
        name = next((name for name, is_given in given.items() if is_given), None)
        if name is not None:
            raise ValueError(f"`segments` says who speaks, and to what; leave out `{name}`")

    @property
    def shown_reference(self) -> str | Path:
        """Which frame shows the identity in mode `"cross"`: `"frame"`, `"best"`, or a file."""
        return "frame" if self.reproduce or self.mode != "cross" else self.reference or REFERENCE

    @property
    def files(self) -> tuple[str | Path, ...]:
        """The files that are read, beside the video, the audio and those of segments."""
        named = self.drive, self.mask, *self.detail_from
        reference = (self.reference,) if isinstance(self.reference, Path) else ()
        return *(path for path in named if path is not None), *reference

    @property
    def takes_detail(self) -> bool:
        """Whether other frames can give the painted mouth detail."""
        return self.detail == "video" and not self.reproduce and self.mode != "reconstruction"

    @property
    def detects(self) -> bool:
        """Whether a detector has to find the faces."""
        return self.box is None and not self.voxceleb2_crop


# What is known of each field of `SyncOptions`, by its name.
OPTIONS: Mapping[str, Option] = {one.name: one.metadata["option"] for one in fields(SyncOptions)}


def _checked(name: str, kind: OptionKind, value: Any) -> Any:
    try:
        return kind.checked(value)
    except ValueError as error:
        raise ValueError(f"`{name}` is {value!r}, expected {kind.expected}") from error


def checked_options(options: dict[str, Any], function: str) -> SyncOptions:
    """The options of a call of `function`.

    Raises:
        TypeError: if there is no such option.
        ValueError: if a value is out of range, or two contradict each other.
    """
    unknown = next((name for name in options if name not in OPTIONS and name not in OLD_NAMES), None)
    if unknown is not None:
        raise TypeError(f"{function}() has no option {unknown!r}; known are {', '.join(OPTIONS)}")
    return SyncOptions(**options)
