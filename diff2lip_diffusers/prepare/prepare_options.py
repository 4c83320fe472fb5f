"""Options for building a training set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from pathlib import Path

from ..faces.detectors import FACE_DETECTORS
from ..lipsync.options import SyncOptions
from .set_layout import CLIP_FPS

IDENTITIES = ("video", "folder")
# Type, minimum, maximum, and the words for them. One minute of crops of 512 pixels takes 1.2 GB of memory.
OPTION_RANGES = {
    "size_px": (Integral, 16, 512, "a whole number of pixels from 16 to 512"),
    "min_face_px": (Real, 8, 4096, "a number of pixels from 8 to 4096"),
    "min_sharpness": (Real, 0, 100, "a number from 0 to 100"),
    "min_seconds": (Real, 0.4, 60, "a number of seconds from 0.4 to 60"),
    "max_seconds": (Real, 0.8, 60, "a number of seconds from 0.8 to 60"),
    "min_lse_c": (Real, 0, 2, "a number from 0 to 2"),
    "workers": (Integral, 1, 256, "a whole number from 1 to 256"),
}
# Options whose key in prepare.json differs from the field.
STORED_NAMES = {"min_lse_c": "min_confidence"}
CHOSEN_FOR_DETECTION = ("face", "pads", "detector", "detection_size", "detection_stride")


@dataclass(frozen=True)
class PrepareOptions:
    """Options for building a training set; every field is an option of `diff2lip prepare`.

    Args:
        size_px: height and width of the crops.
        min_face_px: drops clips whose face is smaller (median over frames of the shorter side of its box).
        min_sharpness: drops clips whose face is less sharp (median over frames, see `sharpness`). 0 keeps all.
        min_seconds: drops shorter clips.
        max_seconds: splits longer clips; at least twice `min_seconds`.
        pads: pixels to grow the face boxes by: top, bottom, left, right; as in `SyncOptions`.
        face: which face to follow, as in `SyncOptions`.
        detector: name of the face detector, as in `SyncOptions`.
        detection_size: longest side in pixels of the downscaled frames that the detector sees.
        detection_stride: runs the detector on every Nth frame, and in between where something changes.
        identity: what counts as one person in training: one `"video"`, or all videos in one `"folder"`.
        syncnet: folder of a SyncNet, or file of the Wav2Lip expert. It measures by how many frames the speech of each
            clip is late, and the clip is cut accordingly. None leaves the speech where it is.
        min_lse_c: drops clips whose LSE-C, measured by the SyncNet, is lower.
        workers: number of processes that share the videos. Does not change the result.

    Raises:
        ValueError: if a value is out of range, or two values contradict each other.
    """

    size_px: int = 128
    min_face_px: float = 64
    min_sharpness: float = 0.01
    min_seconds: float = 1.0
    max_seconds: float = 10.0
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    face: str | int | Sequence[float] = "largest"
    detector: str = "mtcnn"
    detection_size: int = 640
    detection_stride: int = 4
    identity: str = "video"
    syncnet: str | Path | None = None
    min_lse_c: float | None = None
    workers: int = 1

    def __post_init__(self):
        for name, (kind, smallest, largest, expected) in OPTION_RANGES.items():
            value = getattr(self, name)
            fits = isinstance(value, kind) and not isinstance(value, bool) and smallest <= value <= largest
            if not fits and (value is not None or name != "min_lse_c"):
                raise ValueError(f"`{name}` is {value!r}, expected {expected}")
        if self.max_seconds < 2 * self.min_seconds:
            reason = (
                f"`max_seconds` is {self.max_seconds:g}, expected twice `min_seconds` ({self.min_seconds:g}) or more"
            )
            raise ValueError(f"{reason}, so that a long shot can be split without loss")
        for name, words in (("identity", IDENTITIES), ("detector", tuple(FACE_DETECTORS))):
            if getattr(self, name) not in words:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}, known are {', '.join(words)}")
        if self.min_lse_c is not None and self.syncnet is None:
            raise ValueError(f"`min_lse_c` is {self.min_lse_c}, which needs a `syncnet`; pass its folder")
        self.detection(None)

    @property
    def min_frames(self) -> int:
        """Minimum length of a clip."""
        return max(1, round(self.min_seconds * CLIP_FPS))

    @property
    def max_frames(self) -> int:
        """Maximum length of a clip."""
        return round(self.max_seconds * CLIP_FPS)

    def detection(self, boxes: Path | None) -> SyncOptions:
        """Options for finding the face, as in a lip-sync job; `boxes` is a file of known boxes, or None."""
        chosen = {name: getattr(self, name) for name in CHOSEN_FOR_DETECTION}
        return SyncOptions(**chosen, detections=boxes)

    def result_options(self) -> dict:
        """Options that change the result, without the SyncNet, as stored in JSON."""
        chosen = {STORED_NAMES.get(name, name): value for name, value in asdict(self).items()}
        del chosen["workers"], chosen["syncnet"]
        # Nothing for the largest face: older sets, which knew no other choice, have no entry.
        face = {"largest": None}.get(str(self.face), self.face)
        return chosen | {"face": list(face) if isinstance(face, tuple) else face, "pads": list(self.pads)}
