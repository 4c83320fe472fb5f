"""What can be chosen about one job, and which values make sense."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from numbers import Integral, Real

from .face_detectors import FACE_DETECTORS, FaceDetector
from .faces import FaceBox
from .media import SANE_FPS

MODES = ("cross", "reconstruction", "random")
MIN_BOX_PX = 8
# Options that are numbers: type, smallest, largest, and how to say that. The seed's range is that of torch.
OPTION_RANGES = {
    "num_inference_steps": (Integral, 1, math.inf, "a whole number above 0"),
    "batch_size": (Integral, 1, math.inf, "a whole number above 0"),
    "seed": (Integral, -(2**63), 2**64 - 1, "a whole number of 64 bits"),
    "eta": (Real, 0, 1, "a number in [0, 1]"),
    "fps": (Real, *SANE_FPS, "a number from 0.1 to 300, such as 25 or 30000/1001"),
    "crf": (Real, 0, 51, "a number in [0, 51]"),
}


@dataclass(frozen=True)
class SyncOptions:
    """How [`sync_video`] works; every field is one of its keyword arguments.

    Args:
        num_inference_steps: denoising steps; the pipeline's own by default.
        seed: decides the noise, which all frames share.
        eta: weight of the noise in DDIM, in [0, 1].
        batch_size: frames sampled at a time; by default 4 on a CPU, 32 elsewhere. Does not change the result.
        fps: frames a second of the output; the video's own by default.
        box: a fixed face box (x1, y1, x2, y2) in pixels instead of detection, for drawn faces say.
        pads: pixels to grow every detected box by: top, bottom, left, right.
        detector: a name known to `load_face_detector`, or a `FaceDetector`.
        voxceleb2_crop: take the face where VoxCeleb2's face crops have it, instead of detection.
        mode: where the identity comes from: `"cross"`, each frame itself; `"reconstruction"`, the first frame, which
            is also repeated as the picture; `"random"`, one frame drawn with `seed`.
        reproduce: do what the original does to the letter: 25 fps, its smoothing, whole boxes pasted with a hard seam,
            16 kHz mono sound, no frame beyond the last complete audio window, an error at a frame without a face.
        crf: quality of the H.264 encoding, 0 to 51, lower is better.

    Raises:
        ValueError: if a value is out of range.
    """

    num_inference_steps: int | None = None
    seed: int = 7
    eta: float = 0.0
    batch_size: int | None = None
    fps: Fraction | float | None = None
    box: FaceBox | Sequence[float] | None = None
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    detector: str | FaceDetector = "mtcnn"
    voxceleb2_crop: bool = False
    mode: str = "cross"
    reproduce: bool = False
    crf: int = 16

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"`mode` is {self.mode!r}, known are {', '.join(MODES)}")
        for name, (kind, smallest, largest, expected) in OPTION_RANGES.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, kind) and smallest <= value <= largest):
                raise ValueError(f"`{name}` is {value}, expected {expected}")
        if len(self.pads) != 4:
            raise ValueError(f"`pads` is {self.pads}, expected top, bottom, left, right")
        if isinstance(self.detector, str) and self.detector not in FACE_DETECTORS:
            raise ValueError(f"`detector` is {self.detector!r}, known are {', '.join(FACE_DETECTORS)}")
        if self.box is not None:
            object.__setattr__(self, "box", _as_box(self.box))


def _as_box(box: FaceBox | Sequence[float]) -> FaceBox:
    edges = astuple(box) if isinstance(box, FaceBox) else tuple(box)
    face = FaceBox(*edges) if len(edges) == 4 else None
    if face is None or not min(face.width, face.height) >= MIN_BOX_PX:
        raise ValueError(f"`box` is {box}, expected x1,y1,x2,y2 with at least {MIN_BOX_PX} pixels in width and height")
    return face
