"""An output beside its reference, frame by frame, with the box of the face."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch

from ..boxes import FaceBox
from ..errors import Diff2LipError
from ..lipsync.face_boxes import BoxedFrames
from ..lipsync.options import SyncOptions
from ..lipsync.source_video import SourceVideo
from ..lipsync.stage_timer import StageTimer
from ..media.frame import Frame
from ..media.reader import VideoInfo, probe_video, read_frames

# Shapes that differ by more than this do not show the same picture.
MAX_ASPECT_DIFFERENCE = 0.02


class NotMeasurable(Diff2LipError):
    """Why a measure says nothing about a clip; one line."""


@dataclass(frozen=True)
class AlignedFrame:
    """One moment of an output.

    Attributes:
        index: number of the frame, from 0.
        output: (H, W, 3) uint8 RGB, scaled to the size of the reference.
        reference: the same of the reference; None without one.
        box: of the face in the reference, whole pixels inside the frame; None where no face is seen.
    """

    index: int
    output: np.ndarray
    reference: np.ndarray | None
    box: FaceBox | None

    @property
    def painted_box(self) -> FaceBox | None:
        """The part that lip-sync systems paint: the lower half of the face box, the same for every system."""
        if self.box is None:
            return None
        return FaceBox(self.box.x1, (self.box.y1 + self.box.y2) // 2, self.box.x2, self.box.y2)


def cut(frame: np.ndarray, box: FaceBox) -> np.ndarray:
    """Returns the part (h, w, 3) of a frame (H, W, 3) in a box of whole pixels."""
    return frame[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)]


class AlignedClip:
    """An output and its reference, at the frame rate and size of the reference.

    Args:
        output: the lip-synced video.
        reference: the video that it was made from, or the truth; None compares with nothing.
        boxes: of the face, one a frame of the reference (of the output without a reference).

    Attributes:
        fps: frames per second of the comparison.
        notes: what a reader should know about the comparison, one line each.

    Raises:
        MediaError: if a file cannot be read.
        NotMeasurable: if the output has another shape than the reference.
    """

    def __init__(self, output: Path, reference: Path | None, boxes: list[FaceBox | None]):
        self.output, self.reference, self.boxes = output, reference, boxes
        info = probe_video(reference or output)
        self.fps, self.width, self.height = info.fps, info.width, info.height
        self.notes: list[str] = []
        self.num_frames = 0
        if reference is not None:
            self._compare(probe_video(output), info)

    def _compare(self, output: VideoInfo, reference: VideoInfo) -> None:
        aspects = (output.width / output.height, reference.width / reference.height)
        sizes = f"{output.width}x{output.height} against {reference.width}x{reference.height} of the reference"
        if abs(aspects[0] / aspects[1] - 1) > MAX_ASPECT_DIFFERENCE:
            raise NotMeasurable(f"has another shape: {sizes}")
        if (output.width, output.height) != (reference.width, reference.height):
            self.notes.append(f"has another size: {sizes}; it is scaled for the comparison")
        if abs(output.fps - reference.fps) > Fraction(1, 100):
            rates = f"{float(output.fps):.6g} against {float(reference.fps):.6g} frames per second"
            self.notes.append(f"has another frame rate: {rates}; the reference's is used")

    def __iter__(self) -> Iterator[AlignedFrame]:
        """Yields the frames that both have; notes afterwards if one is longer."""
        lengths = [0, 0]
        with closing(self._read(self.output)) as outputs, closing(self._read(self.reference)) as references:
            for index, (output, reference) in enumerate(zip_longest(outputs, references)):
                lengths[0] += output is not None
                lengths[1] += reference is not None
                if output is None or (reference is None and self.reference is not None):
                    continue
                box = self.boxes[index] if index < len(self.boxes) else None
                pixels = output.thumbnail(self.width, self.height)
                yield AlignedFrame(index, pixels, None if reference is None else reference.rgb(), box)
        self.num_frames = min(lengths) if self.reference is not None else lengths[0]
        if self.reference is not None and lengths[0] != lengths[1]:
            self.notes.append(
                f"has another length: {lengths[0]} frames against {lengths[1]} of the reference;"
                f" the first {self.num_frames} are compared"
            )

    def _read(self, path: Path | None) -> Generator[Frame, None, None]:
        if path is not None:
            yield from read_frames(path, self.fps)


def follow_face(video: Path, fps: Fraction, options: SyncOptions) -> list[FaceBox | None]:
    """Returns the box of the face in every frame of a video, in whole pixels; None where no face is seen.

    Args:
        video: the file; `NAME.boxes.jsonl` beside it is used instead of the detector, if there is one.
        fps: frames per second at which it is read.
        options: detector and choice of the face.

    Raises:
        MediaError: if the video or its boxes cannot be read.
    """
    known = known_boxes(video)
    options = options if known is None else SyncOptions(detections=known)
    frames = BoxedFrames(SourceVideo(video), fps, 0, None, options, torch.device("cpu"), StageTimer())
    with closing(iter(frames)) as boxed:
        return [entry.box for entry in boxed]


def known_boxes(video: Path) -> Path | None:
    """Returns the file of known face boxes beside a video, as `diff2lip make-corpus` writes it, if there is one."""
    path = video.with_name(f"{video.stem}.boxes.jsonl")
    return path if path.is_file() else None
