"""What every group of measures has in common: it sees the frames of one output, and gives numbers by name."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from ...boxes import FaceBox
from ..aligned_frames import AlignedFrame
from ..clips import Clip
from .speech_levels import has_audio, say_the_same


@dataclass(frozen=True)
class ClipView:
    """One output of one system, as measures see it.

    Attributes:
        clip: its files.
        system: whose output.
        fps: frames per second of the comparison.
        boxes: of the face, one a frame.
        has_reference: whether frames come with their reference.
        features: file without suffix, for features that are compared over all clips (FID and its kin).
    """

    clip: Clip
    system: str
    fps: Fraction
    boxes: list[FaceBox | None]
    has_reference: bool
    features: Path

    @property
    def output(self) -> Path:
        """The video that is judged."""
        return self.clip.outputs[self.system]

    @property
    def speech(self) -> Path:
        """The file with the speech that the mouth should follow."""
        return self.clip.speech_of(self.system)

    @cached_property
    def original_speech(self) -> Path | None:
        """The source video, if it has another speech than the one that the mouth should follow."""
        source = self.clip.source_of(self.system)
        if source is None or not has_audio(source) or say_the_same(self.speech, source, self.fps):
            return None
        return source


class MeasureGroup:
    """Measures that share one pass over the frames of an output.

    `add` is called with each frame in order, then `values` and `curves` once. Any of them may raise `NotMeasurable`.
    """

    def add(self, frame: AlignedFrame) -> None:
        """Takes in one frame."""

    def values(self) -> dict[str, float]:
        """Returns the numbers of the clip by the names in `MEASURES`."""
        raise NotImplementedError

    def curves(self) -> dict[str, list[float]]:
        """Returns what the report draws over offsets or time."""
        return {}


# Begins a group for one output; raises `NotMeasurable` where something is missing.
GroupFactory = Callable[[ClipView], MeasureGroup]
