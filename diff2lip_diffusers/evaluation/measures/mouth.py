"""The mouth's opening: whether it follows the speech, how wide it goes, and whether it leaks or moves in silence."""

from pathlib import Path
from typing import Protocol

import numpy as np

from ..agreement import MAX_LAG, agreement
from ..aligned_frames import AlignedFrame, NotMeasurable
from ..options import LandmarkDetector
from .drawn_truth import DrawnMouth
from .equal_softness import EqualSoftness
from .group import ClipView, MeasureGroup
from .landmarks import MouthLandmarks
from .speech_levels import silent_frames

# A mouth is open above this part of the way from the reference's closed to its open mouth.
OPEN_ABOVE = 0.25
CLOSED_QUANTILE, OPEN_QUANTILE = 0.05, 0.95
MIN_FRAMES = 2 * MAX_LAG + 2


class OpeningMeter(Protocol):
    """Tells how far a mouth is open, in a unit of its own that grows with the opening."""

    reads_colors: bool  # then a blur changes what it reads, and it is compared with an equally soft reference

    def opening(self, pixels: np.ndarray, frame: AlignedFrame) -> float | None:
        """Returns the opening in `pixels`, the output's or the reference's of `frame`; None without a mouth."""
        ...

    def true_curve(self) -> np.ndarray | None:
        """Returns the true opening of the target speech (N,), in any unit, if it is known."""
        ...

    def original_curve(self) -> np.ndarray | None:
        """Returns the true opening of the original speech (N,), in any unit, if it is known and another."""
        ...


class MouthGroup(MeasureGroup):
    """Measures of the mouth's opening, by the renderer's truth if there is one, and by landmarks otherwise.

    `lmd`: distance of landmarks from the reference's. `opening_correlation`, `opening_lag`: with the true opening of
    the target speech, or the reference's mouth if the reference says that speech. `opening_original`: correlation with
    the opening of the original speech, which should be near 0. `opening_ratio`: range of the opening (5 % to 95 %)
    against the reference's. `lip_leak`: part of the silent frames in which the mouth is open. Where openings are read
    from colors, the reference is blurred until it is as soft as the output ([`EqualSoftness`]).

    Source: LipLeak after KeySync (Bigata et al. 2025), here by openings between those of the reference.

    Args:
        view: the output that is judged.
        truth: folder with the true mouths of drawn people.
        detect: finds landmarks.
    """

    def __init__(self, view: ClipView, truth: Path | None, detect: LandmarkDetector | None):
        self._view = view
        self._landmarks = None if detect is None else MouthLandmarks(detect)
        meter = self._landmarks if truth is None else DrawnMouth(view, truth)
        if meter is None:
            raise NotMeasurable("needs --truth or --landmarks")
        self._meter: OpeningMeter = meter
        self._outputs: list[float] = []
        self._softness = EqualSoftness() if meter.reads_colors else None
        self._references: list[list[float]] = []
        self._indices: list[int] = []
        self._distances: list[float] = []

    def add(self, frame: AlignedFrame) -> None:
        """Measures one frame."""
        distance = None if self._landmarks is None else self._landmarks.distance(frame)
        if distance is not None:
            self._distances.append(distance)
        output = self._meter.opening(frame.output, frame)
        if output is None:
            return
        self._indices.append(frame.index)
        self._outputs.append(output)
        self._references.append(self._openings_of_reference(frame))

    def _openings_of_reference(self, frame: AlignedFrame) -> list[float]:
        """One opening, or one per width of [`EqualSoftness`]; NaN without a reference or a mouth in it."""
        if frame.reference is None:
            return [float("nan")]
        references = [frame.reference] if self._softness is None else self._softness.references(frame)
        openings = [self._meter.opening(pixels, frame) for pixels in references]
        return [float("nan") if opening is None else opening for opening in openings]

    def values(self) -> dict[str, float]:
        """Numbers of the clip."""
        found = {"lmd": float(np.mean(self._distances))} if self._distances else {}
        if len(self._outputs) < MIN_FRAMES:
            if not found:
                raise NotMeasurable(f"the mouth is seen in {len(self._outputs)} frames, {MIN_FRAMES} are needed")
            return found
        outputs, references = np.array(self._outputs), self._equally_soft_references()
        return found | self._agreements(outputs, references) | self._ranges(outputs, references)

    def _equally_soft_references(self) -> np.ndarray:
        by_width = np.array(self._references).T
        return by_width[0] if self._softness is None or len(by_width) == 1 else self._softness.at_output(by_width)

    def curves(self) -> dict[str, list[float]]:
        """Openings over time."""
        return {"opening": self._outputs}

    def _agreements(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, float]:
        found = {}
        true = self._at_seen_frames(self._meter.true_curve())
        if true is None and np.isfinite(references).all() and self._view.original_speech is None:
            true = references
        if true is not None:
            followed = agreement(outputs, true)
            found |= {"opening_correlation": followed.correlation, "opening_lag": float(followed.lag_frames)}
        original = self._at_seen_frames(self._meter.original_curve())
        if original is not None:
            found["opening_original"] = agreement(outputs, original).correlation
        return found

    def _at_seen_frames(self, curve: np.ndarray | None) -> np.ndarray | None:
        """The part of a curve over all frames that belongs to the frames in which the mouth was seen."""
        if curve is None or self._indices[-1] >= len(curve):
            return None
        return curve[self._indices]

    def _ranges(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, float]:
        if not np.isfinite(references).any():
            return {}
        closed, wide = np.nanquantile(references, [CLOSED_QUANTILE, OPEN_QUANTILE])
        if wide <= closed:
            return {}
        low, high = np.quantile(outputs, [CLOSED_QUANTILE, OPEN_QUANTILE])
        return {"opening_ratio": float((high - low) / (wide - closed))} | self._leak(
            (outputs - closed) / (wide - closed)
        )

    def _leak(self, openness: np.ndarray) -> dict[str, float]:
        silent = silent_frames(self._view.speech, self._view.fps, self._indices[-1] + 1)[self._indices]
        return {"lip_leak": float((openness[silent] > OPEN_ABOVE).mean())} if silent.any() else {}
