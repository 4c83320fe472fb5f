"""What can be chosen about an evaluation."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from ..boxes import FaceBox
from ..lipsync.options import SyncOptions
from .measures.table import GROUPS, MEASURES

SYNCNET_PROTOCOLS = ("wav2lip", "joonson")
# (N, 2) points of a face in pixels, from a frame (H, W, 3) uint8 RGB and its face box; None where there is no face.
LandmarkDetector = Callable[[np.ndarray, FaceBox], np.ndarray | None]


@dataclass(frozen=True)
class EvaluateOptions:
    """How `evaluate` works; every field is one of its keyword arguments.

    Args:
        measures: names of measures or of groups of them; by default all that what is given allows.
        syncnet: weights of the SyncNet of 2016, `syncnet_v2.model` or what `diff2lip convert-syncnet` made of it.
        syncnet_protocol: `"wav2lip"`, the whole frame, or `"joonson"`, face tracks.
        own_syncnet: folder of a SyncNet that `diff2lip train-syncnet` trained; `"drawn"` is the one that comes with
            the package, which knows drawn people only.
        inception: weights of the Inception network, for FID and KID.
        lpips: weights of LPIPS with its backbone.
        i3d: weights of I3D as a TorchScript file, for FVD.
        landmarks: `"face-alignment"`, a MediaPipe model file (`.task`), or a function; for LMD and the opening.
        truth: corpus of drawn people that the clips were made from, for the true mouth.
        detector: face detector, as in `SyncOptions`.
        num_clips_shown: how many clips the report plays: the best, the worst and those between.
        workers: processes.
        device: where networks run.

    Raises:
        ValueError: if a value is out of range or a measure is unknown.
    """

    measures: tuple[str, ...] | None = None
    syncnet: str | Path | None = None
    syncnet_protocol: str = "wav2lip"
    own_syncnet: str | Path | None = None
    inception: str | Path | None = None
    lpips: str | Path | None = None
    i3d: str | Path | None = None
    landmarks: str | Path | LandmarkDetector | None = None
    truth: str | Path | None = None
    detector: str = "mtcnn"
    num_clips_shown: int = 3
    workers: int = 1
    device: str = "cpu"

    def __post_init__(self):
        if self.syncnet_protocol not in SYNCNET_PROTOCOLS:
            known = ", ".join(SYNCNET_PROTOCOLS)
            raise ValueError(f"`syncnet_protocol` is {self.syncnet_protocol!r}, known are {known}")
        for name in ("workers", "num_clips_shown"):
            value, least = getattr(self, name), 1 if name == "workers" else 0
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"`{name}` is {value!r}, expected a whole number, {least} or more")
        for name in self.measures or ():
            if name not in MEASURES and name not in GROUPS:
                known = ", ".join([*GROUPS, *MEASURES])
                raise ValueError(f"`measures` has {name!r}, known are {known}")
        self.detection()  # refuses an unknown detector
        _check_device(self.device)

    def detection(self) -> SyncOptions:
        """How the face is found."""
        return SyncOptions(detector=self.detector)

    def wanted_groups(self) -> list[str]:
        """The groups of measures that are asked for, all by default."""
        if self.measures is None:
            return list(GROUPS)
        wanted = {MEASURES[name].group if name in MEASURES else name for name in self.measures}
        return [group for group in GROUPS if group in wanted]

    def weights(self) -> list[Path]:
        """The files and folders of weights and of truth that are given."""
        given = (self.syncnet, self.own_syncnet, self.inception, self.lpips, self.i3d, self.truth)
        return [Path(path) for path in given if path is not None]

    def as_json(self) -> dict:
        """What a result depends on, as plain JSON values."""
        free = ("workers", "num_clips_shown", "measures")
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in free}
        return {name: None if value is None else _named(value) for name, value in chosen.items()} | {
            "groups": self.wanted_groups()
        }


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for CUDA
        raise ValueError(f"`device` is {device!r}, which this machine does not have; use cpu") from error


def _named(value: object) -> str:
    """A value as text that is the same in every process; a function goes by its name."""
    return f"{value.__module__}.{value.__qualname__}" if inspect.isroutine(value) else str(value)
