"""What can be chosen about one job, and which values make sense."""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path

import numpy as np

from ..boxes import FaceBox
from ..faces.detectors import FACE_DETECTORS, FaceDetector
from ..media.encoders import CODECS
from ..media.length import EXTENSIONS, LENGTHS
from ..media.reader import SANE_FPS

MODES = ("cross", "reconstruction", "random")
MIN_BOX_PX = 8
# Options that are one of a few words.
OPTION_WORDS = {"mode": MODES, "length": LENGTHS, "extend": EXTENSIONS, "codec": tuple(CODECS)}
# Options that are numbers: type, smallest, largest, and how to say that. The seed's range is that of torch.
OPTION_RANGES = {
    "num_inference_steps": (Integral, 1, math.inf, "a whole number above 0"),
    "batch_size": (Integral, 1, math.inf, "a whole number above 0"),
    "seed": (Integral, -(2**63), 2**64 - 1, "a whole number of 64 bits"),
    "eta": (Real, 0, 1, "a number in [0, 1]"),
    "fps": (Real, *SANE_FPS, "a number from 0.1 to 300, such as 25 or 30000/1001"),
    "quality": (Integral, 0, 51, "a whole number from 0 to 51"),
    "detection_size": (Integral, 64, math.inf, "a whole number of pixels, at least 64"),
    "detection_stride": (Integral, 1, math.inf, "a whole number above 0"),
}


@dataclass(frozen=True)
class SyncOptions:
    """How [`sync_video`] works; every field is one of its keyword arguments.

    Args:
        num_inference_steps: denoising steps; the pipeline's own by default.
        seed: decides the noise, which all frames share.
        eta: weight of the noise in DDIM, in [0, 1].
        batch_size: frames sampled at a time; by default 4 on a CPU, 32 elsewhere. Does not change the result.
        fps: frames a second of the output; the video's own by default, 25 for images.
        length: how long the output is: `"video"`, `"audio"`, the `"shortest"` or the `"longest"` of both. By default
            the video's, or the speech's where the video is a single image.
        extend: how a video that is too short goes on: `"pingpong"`, back and forth; `"loop"`; `"freeze"`.
        box: a fixed face box (x1, y1, x2, y2) in pixels instead of detection, for drawn faces say.
        face: which face to follow: `"largest"`; a number, counted from 0 on the left; or a point (x, y) in pixels on
            it, in the frame where the choice is made.
        pads: pixels to grow every detected box by: top, bottom, left, right.
        detector: a name known to `load_face_detector`, or a function: it takes a list of pictures, uint8 RGB
            (H, W, 3), and returns for each the list of its faces as `Detection`.
        detection_size: longest side in pixels of the small pictures that the detector sees.
        detection_stride: look for faces in every that-many-th frame, and in those between where something changes.
        detections: file that keeps the boxes of all faces: used if it is there, otherwise written. Boxes from it are
            followed and smoothed as those of a detector are.
        voxceleb2_crop: take the face where VoxCeleb2's face crops have it, instead of detection.
        mode: where the identity comes from: `"cross"`, each frame itself; `"reconstruction"`, the first frame, which
            is also repeated as the picture; `"random"`, one frame drawn with `seed`.
        restore: a function that improves a painted face before it is pasted: takes and returns a square (S, S, 3)
            float32 RGB in [0, 1]; what it returns may be larger.
        codec: how pictures are compressed, a key of `CODECS`; by default H.264, HEVC for HDR.
        quality: of the pictures, 0 to 51 (CRF), lower is better; by default what the eye cannot tell from the source.
        lossless: keep every pixel that is not painted to the bit.
        mark: say in the file's metadata that the speech is synthesised, and by which program.
        reproduce: do what the original does to the letter: 25 fps, its smoothing, whole boxes pasted with a hard seam,
            16 kHz mono sound, no frame beyond the last complete audio window, an error at a frame without a face.

    Raises:
        ValueError: if a value is out of range, or two contradict each other.
    """

    num_inference_steps: int | None = None
    seed: int = 7
    eta: float = 0.0
    batch_size: int | None = None
    fps: Fraction | float | None = None
    length: str | None = None
    extend: str = "pingpong"
    box: FaceBox | Sequence[float] | None = None
    face: str | int | Sequence[float] = "largest"
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    detector: str | FaceDetector = "mtcnn"
    detection_size: int = 640
    detection_stride: int = 4
    detections: str | Path | None = None
    voxceleb2_crop: bool = False
    mode: str = "cross"
    restore: Callable[[np.ndarray], np.ndarray] | None = None
    codec: str | None = None
    quality: int | None = None
    lossless: bool = False
    mark: bool = True
    reproduce: bool = False

    def __post_init__(self):
        for name, words in OPTION_WORDS.items():
            value = getattr(self, name)
            if value is not None and value not in words:
                raise ValueError(f"`{name}` is {value!r}, known are {', '.join(words)}")
        for name, (kind, smallest, largest, expected) in OPTION_RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, kind) and smallest <= value <= largest):
                raise ValueError(f"`{name}` is {value!r}, expected {expected}")
        if self.restore is not None and not callable(self.restore):
            raise ValueError(f"`restore` is {self.restore!r}, expected a function from face to face")
        if (
            not isinstance(self.pads, Sequence)
            or len(self.pads) != 4
            or not all(isinstance(pad, Real) and math.isfinite(pad) for pad in self.pads)
        ):
            raise ValueError(f"`pads` is {self.pads}, expected four numbers: top, bottom, left, right")
        if isinstance(self.detector, str) and self.detector not in FACE_DETECTORS:
            raise ValueError(f"`detector` is {self.detector!r}, known are {', '.join(FACE_DETECTORS)}")
        self._check_pairs()
        if self.box is not None:
            object.__setattr__(self, "box", _as_box(self.box))
        object.__setattr__(self, "face", _as_choice(self.face))

    def _check_pairs(self) -> None:
        if self.box is not None and self.voxceleb2_crop:
            raise ValueError("`box` and `voxceleb2_crop` exclude each other; pass one of them")
        if self.detections is not None and not self.detects:
            raise ValueError("`detections` is of no use where `box` or `voxceleb2_crop` says where the face is")
        if self.reproduce and (self.length not in (None, "shortest") or self.restore is not None):
            raise ValueError("`reproduce` does what the original does; leave out `length` and `restore`")
        if self.quality is not None and (self.lossless or (self.codec and CODECS[self.codec].default_crf is None)):
            raise ValueError("`quality` cannot be chosen with `lossless`, prores or ffv1; leave it out")

    @property
    def detects(self) -> bool:
        """Whether faces have to be looked for."""
        return self.box is None and not self.voxceleb2_crop


def _as_box(box: FaceBox | Sequence[float]) -> FaceBox:
    edges = astuple(box) if isinstance(box, FaceBox) else tuple(box)
    face = FaceBox(*edges) if len(edges) == 4 else None
    if face is None or not min(face.width, face.height) >= MIN_BOX_PX:
        raise ValueError(f"`box` is {box}, expected x1,y1,x2,y2 with at least {MIN_BOX_PX} pixels in width and height")
    return face


def _as_choice(face: str | int | Sequence[float]) -> str | int | tuple[float, float]:
    if face == "largest" or (isinstance(face, Integral) and face >= 0):
        return face
    point = () if isinstance(face, (str, Integral)) else tuple(face)
    if len(point) != 2 or not all(isinstance(edge, Real) and math.isfinite(edge) for edge in point):
        raise ValueError(f"`face` is {face!r}, expected 'largest', a number from 0 or a point x,y")
    return point
