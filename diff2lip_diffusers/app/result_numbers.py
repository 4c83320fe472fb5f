"""The numbers of a result: how far speech and mouth are apart, how sharp the mouth is, what a frame took."""

from dataclasses import dataclass
from pathlib import Path

from ..evaluation.clips import Clip
from ..evaluation.measure_clip import measure_clip
from ..evaluation.measures.choice import make_groups
from ..evaluation.options import EvaluateOptions
from ..lipsync.options import SyncOptions
from ..lipsync.run import SyncResult

SYSTEM = "result"


@dataclass(frozen=True)
class ResultNumbers:
    """Numbers of one result.

    Attributes:
        num_frames: frames written.
        num_faceless_frames: those without the face, which stayed as they were.
        duration_s: length in seconds.
        seconds_per_frame: time that a frame took.
        offset_frames: frames of 25 per second by which the mouth is early (above 0) or late; None if not measured.
        sharpness: detail of the lower half of the face against the source, 1 for as sharp; None if not measured.
    """

    num_frames: int
    num_faceless_frames: int
    duration_s: float
    seconds_per_frame: float
    offset_frames: int | None
    sharpness: float | None


def measure_result(
    made: SyncResult,
    seconds: float,
    source: Path,
    speech: Path,
    face: str | tuple[float, float],
    folder: Path,
    own_syncnet: str | Path | None,
    device: str,
) -> ResultNumbers:
    """Measures a result as `diff2lip evaluate` does.

    Args:
        made: of the job.
        seconds: that it took.
        source: the video that it was made from.
        speech: the recording.
        face: which face was painted, as in `SyncOptions`.
        folder: for what is stored on the way.
        own_syncnet: a SyncNet; without one the offset is not measured.
        device: where the SyncNet runs.
    """
    groups = make_groups(
        EvaluateOptions(measures=("own_sync", "sharpness"), own_syncnet=own_syncnet, device=_usable(device))
    )
    clip = Clip("clip", {SYSTEM: Path(str(made.output))}, source, speech)
    values = measure_clip(clip, groups, SyncOptions(face=face), folder)["systems"][SYSTEM]["values"]
    offset = values.get("own_offset")
    return ResultNumbers(
        made.num_frames,
        made.num_faceless_frames,
        made.duration_s,
        seconds / max(1, made.num_frames),
        None if offset is None else int(offset),
        values.get("high_band_ratio"),
    )


def _usable(device: str) -> str:
    return device if device.startswith(("cpu", "cuda", "mps")) else "cpu"
