"""What can be chosen about the making of a training set."""

from dataclasses import asdict, dataclass
from numbers import Integral, Real
from pathlib import Path

from ..faces.detectors import FACE_DETECTORS
from ..lipsync.options import SyncOptions

CLIP_FPS = 25
SAMPLING_RATE = 16000
SAMPLES_PER_FRAME = SAMPLING_RATE // CLIP_FPS
IDENTITIES = ("video", "folder")
# Type, smallest, largest, and how to say that. A minute of crops of 512 pixels takes 1.2 GB.
OPTION_RANGES = {
    "size_px": (Integral, 16, 512, "a whole number of pixels from 16 to 512"),
    "min_face_px": (Real, 8, 4096, "a number of pixels from 8 to 4096"),
    "min_sharpness": (Real, 0, 100, "a number from 0 to 100"),
    "min_seconds": (Real, 0.4, 60, "a number of seconds from 0.4 to 60"),
    "max_seconds": (Real, 0.8, 60, "a number of seconds from 0.8 to 60"),
    "min_confidence": (Real, 0, 2, "a number from 0 to 2"),
    "workers": (Integral, 1, 256, "a whole number from 1 to 256"),
}


@dataclass(frozen=True)
class PrepareOptions:
    """How a training set is made; every field is an option of `diff2lip prepare`.

    Args:
        size_px: height and width of the crops.
        min_face_px: clips in which the shorter side of the face's box is smaller, in the median, are dropped.
        min_sharpness: clips that are less sharp, in the median, are dropped; see `sharpness`. 0 keeps all.
        min_seconds: shorter clips are dropped.
        max_seconds: longer ones are cut into clips of this length; at least twice `min_seconds`.
        pads: pixels to grow the face's boxes by: top, bottom, left, right; as in `SyncOptions`.
        detector: of faces; as in `SyncOptions`, by name.
        detection_size: longest side in pixels of the small pictures that the detector sees.
        detection_stride: look for faces in every that-many-th frame, and in those between where something changes.
        identity: who is one person for training: all of one `"video"`, or of all videos in one `"folder"`.
        syncnet: folder of a SyncNet, or file of the Wav2Lip expert, by which the sound of each clip is moved to where
            it fits best; None to leave it as it is.
        min_confidence: clips that the SyncNet is less confident about are dropped.
        workers: how many processes share the videos. Does not change the result.

    Raises:
        ValueError: if a value is out of range, or two contradict each other.
    """

    size_px: int = 128
    min_face_px: float = 64
    min_sharpness: float = 0.01
    min_seconds: float = 1.0
    max_seconds: float = 10.0
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    detector: str = "mtcnn"
    detection_size: int = 640
    detection_stride: int = 4
    identity: str = "video"
    syncnet: str | Path | None = None
    min_confidence: float | None = None
    workers: int = 1

    def __post_init__(self):
        for name, (kind, smallest, largest, expected) in OPTION_RANGES.items():
            value = getattr(self, name)
            fits = isinstance(value, kind) and not isinstance(value, bool) and smallest <= value <= largest
            if not fits and (value is not None or name != "min_confidence"):
                raise ValueError(f"`{name}` is {value!r}, expected {expected}")
        if self.max_seconds < 2 * self.min_seconds:
            reason = (
                f"`max_seconds` is {self.max_seconds:g}, expected twice `min_seconds` ({self.min_seconds:g}) or more"
            )
            raise ValueError(f"{reason}, so that a long shot can be cut without loss")
        for name, words in (("identity", IDENTITIES), ("detector", tuple(FACE_DETECTORS))):
            if getattr(self, name) not in words:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, known are {', '.join(words)}")
        if self.min_confidence is not None and self.syncnet is None:
            raise ValueError(f"`min_confidence` is {self.min_confidence}, which needs a `syncnet`; pass its folder")
        self.detection(None)

    @property
    def min_frames(self) -> int:
        """Of a clip."""
        return max(1, round(self.min_seconds * CLIP_FPS))

    @property
    def max_frames(self) -> int:
        """Of a clip."""
        return round(self.max_seconds * CLIP_FPS)

    def detection(self, boxes: Path | None) -> SyncOptions:
        """How a job of the same options looks for the face, with a file of known boxes or without."""
        chosen = {name: getattr(self, name) for name in ("pads", "detector", "detection_size", "detection_stride")}
        return SyncOptions(**chosen, detections=boxes)

    def result_options(self) -> dict:
        """What the set depends on, as JSON has it, but for the SyncNet."""
        chosen = asdict(self)
        del chosen["workers"], chosen["syncnet"]
        return chosen | {"pads": list(self.pads)}
