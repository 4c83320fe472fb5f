"""A clip of a person who listens, shown forward and backward without end; its faces are found once."""

import hashlib
import math
import os
from fractions import Fraction
from pathlib import Path

from ..errors import FaceNotFoundError, MediaError
from ..lipsync.face_boxes import BoxedFrame, BoxedFrames
from ..lipsync.frame_tasks import crop_for_model
from ..lipsync.options import SyncOptions
from ..lipsync.source_video import SourceVideo
from ..lipsync.stage_timer import StageTimer
from ..portable.pipeline_diff2lip import Diff2LipPipeline
from .shown_frame import ShownFrame

# Faces are found at no lower rate: between frames that are further apart they move too far to be followed.
LEAST_FPS = Fraction(25)
MAX_BYTES = 1 << 30
HASHED_BLOCK = 1 << 20


class IdleClip:
    """The frames of a clip, in memory, forward and backward without end: no jump where it begins again.

    Args:
        pipe: the pipeline that will paint.
        path: a video file, an image file, or a folder of numbered image files.
        fps: frames per second.
        boxes: file with the faces at this rate, or at 25 frames/s for lower ones; written if it is missing. By default
            one in the user's cache, by the clip's content.
        face: which face, as in [`SyncOptions`].
        max_bytes: most memory that its frames may take.

    Attributes:
        frames: in the order of the clip.
        width: of a frame, in pixels.
        height: of a frame, in pixels.

    Raises:
        MediaError: the clip cannot be read, or is too large.
        FaceNotFoundError: no frame shows the face.
    """

    def __init__(
        self,
        pipe: Diff2LipPipeline,
        path: str | Path,
        fps: Fraction | float = 25,
        boxes: str | Path | None = None,
        face: str | int | tuple[float, float] = "largest",
        max_bytes: int = MAX_BYTES,
    ):
        rate = Fraction(fps).limit_denominator(1001)
        found_rate = max(rate, LEAST_FPS)
        boxes = boxes_file(path, found_rate) if boxes is None else boxes
        source = SourceVideo(path)
        options = SyncOptions(face=face, detections=boxes)
        device = pipe._execution_device
        entries = BoxedFrames(source, found_rate, 0, None, options, device, StageTimer(), (options.face,))
        self.frames: list[ShownFrame] = []
        used = 0
        for number, entry in enumerate(entries):
            if not is_shown(number, rate / found_rate):
                continue
            shown = _shown(pipe, entry)
            self.frames.append(shown)
            used += shown.nbytes
            if used > max_bytes:
                seconds = float(len(self.frames) / rate)
                raise MediaError(path, f"more than {seconds:.1f} s of it do not fit in memory; cut it, or shrink it")
        if all(shown.box is None for shown in self.frames):
            raise FaceNotFoundError(wanted=face)
        self.width, self.height = self.frames[0].rgb.shape[1], self.frames[0].rgb.shape[0]

    def at(self, tick: int) -> ShownFrame:
        """The frame to show at a number of output frames."""
        return self.frames[ping_pong(tick, len(self.frames))]


def is_shown(number: int, share: Fraction) -> bool:
    """Whether a frame of the clip is kept, if this share of them is, evenly."""
    return math.floor(math.ceil(number * share) / share) == number


def ping_pong(tick: int, count: int) -> int:
    """The number of the frame to show: 0, 1, …, count - 1, count - 2, …, 1, 0, 1, … without a jump."""
    if count == 1:
        return 0
    place = tick % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


def boxes_file(path: str | Path, fps: Fraction) -> Path | None:
    """Where the faces of a clip are kept, by its content and rate; None where nothing can be kept."""
    if Path(path).is_dir():
        return None
    digest = hashlib.sha256(f"{fps}".encode())
    try:
        with open(path, "rb") as file:
            while block := file.read(HASHED_BLOCK):
                digest.update(block)
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diff2lip_diffusers" / "boxes"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder / f"{digest.hexdigest()[:32]}.jsonl"


def _shown(pipe: Diff2LipPipeline, entry: BoxedFrame) -> ShownFrame:
    shown = ShownFrame(entry.frame.rgb(), entry.box)
    if entry.box is not None:
        shown.crop = crop_for_model(pipe, shown.rgb[shown.area])
    return shown
