"""The mouth's opening: whether it follows the speech, how wide it goes, and whether it leaks or moves in silence."""

from typing import Protocol

import numpy as np

from ...errors import NoAudioError
from ...media.reader import read_audio
from ..agreement import MAX_LAG, agreement
from ..aligned_frames import AlignedFrame, NotMeasurable
from .group import ClipView, MeasureGroup

# A frame is silent below both of these: an absolute level, and one under the loud parts of the speech.
SILENCE_DBFS, SILENCE_BELOW_LOUD_DB = -50.0, -35.0
# Shorter pauses belong to the speech: lips need time to close.
MIN_SILENCE_FRAMES = 5
# A mouth is open above this part of the way from the reference's closed to its open mouth.
OPEN_ABOVE = 0.25
CLOSED_QUANTILE, OPEN_QUANTILE = 0.05, 0.95


class OpeningMeter(Protocol):
    """Tells how far a mouth is open, in a unit of its own that grows with the opening."""

    def opening(self, pixels: np.ndarray, frame: AlignedFrame) -> float | None:
        """Returns the opening in `pixels`, the output's or the reference's of `frame`; None without a mouth."""
        ...

    def true_curve(self) -> np.ndarray | None:
        """Returns the true opening of the target speech (N,), in any unit, if it is known."""
        ...

    def original_curve(self) -> np.ndarray | None:
        """Returns the true opening of the original speech (N,), in any unit, if it is known."""
        ...


class MouthGroup(MeasureGroup):
    """Measures of the mouth's opening.

    `opening_correlation`, `opening_lag`: with the true opening of the target speech, or the reference's mouth if the
    speech is the reference's own. `opening_original`: correlation with the opening of the original speech, which
    should be near 0. `opening_ratio`: range of the opening (5 % to 95 %) against the reference's. `lip_leak`: part of
    the silent frames in which the mouth is open.

    Source: LipLeak after KeySync (Bigata et al. 2025), here by openings between those of the reference.
    """

    def __init__(self, view: ClipView, meter: OpeningMeter):
        self._view, self._meter = view, meter
        self._outputs: list[float] = []
        self._references: list[float] = []
        self._indices: list[int] = []

    def add(self, frame: AlignedFrame) -> None:
        """Measures one frame."""
        output = self._meter.opening(frame.output, frame)
        if output is None:
            return
        self._indices.append(frame.index)
        self._outputs.append(output)
        if frame.reference is not None:
            reference = self._meter.opening(frame.reference, frame)
            self._references.append(float("nan") if reference is None else reference)

    def values(self) -> dict[str, float]:
        """Numbers of the clip."""
        if len(self._outputs) < 2 * MAX_LAG + 2:
            raise NotMeasurable(f"the mouth is seen in {len(self._outputs)} frames, {2 * MAX_LAG + 2} are needed")
        outputs, references = np.array(self._outputs), np.array(self._references)
        found = self._agreements(outputs, references)
        if len(references) and np.isfinite(references).any():
            closed, wide = np.nanquantile(references, [CLOSED_QUANTILE, OPEN_QUANTILE])
            if wide > closed:
                low, high = np.quantile(outputs, [CLOSED_QUANTILE, OPEN_QUANTILE])
                found["opening_ratio"] = float((high - low) / (wide - closed))
                found |= self._leak((outputs - closed) / (wide - closed))
        return found

    def curves(self) -> dict[str, list[float]]:
        """Openings over time."""
        return {"opening": self._outputs}

    def _agreements(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, float]:
        found = {}
        true = self._at_seen_frames(self._meter.true_curve())
        if true is None and self._is_own_speech() and np.isfinite(references).all() and len(references):
            true = references
        if true is not None:
            followed = agreement(outputs, true)
            found |= {"opening_correlation": followed.correlation, "opening_lag": float(followed.lag_frames)}
        original = self._at_seen_frames(self._meter.original_curve())
        if original is not None:
            found["opening_original"] = agreement(outputs, original).correlation
        return found

    def _is_own_speech(self) -> bool:
        return self._view.clip.audio in (None, self._view.clip.reference)

    def _at_seen_frames(self, curve: np.ndarray | None) -> np.ndarray | None:
        """The part of a curve over all frames that belongs to the frames in which the mouth was seen."""
        if curve is None or not len(curve) or self._indices[-1] >= len(curve):
            return None
        return curve[self._indices]

    def _leak(self, openness: np.ndarray) -> dict[str, float]:
        silent = silent_frames(self._view)
        indices = np.array(self._indices)
        known = indices < len(silent)
        quiet = silent[indices[known]]
        if not quiet.any():
            return {}
        return {"lip_leak": float((openness[known][quiet] > OPEN_ABOVE).mean())}


def silent_frames(view: ClipView) -> np.ndarray:
    """Returns which frames of a clip are silent, (N,) bool: pauses of the target speech of 5 frames or more.

    A file without audio is silent throughout.
    """
    try:
        waveform, sampling_rate = read_audio(view.speech)
    except NoAudioError:
        return np.ones(len(view.boxes), bool)
    ends = np.arange(1, int(len(waveform) * view.fps / sampling_rate) + 1) * sampling_rate / float(view.fps)
    starts = np.concatenate([[0], ends[:-1]]).astype(int)
    powers = np.array([np.square(waveform[a : int(b)]).mean() for a, b in zip(starts, ends, strict=True)])
    levels = 10 * np.log10(powers + 1e-12)
    limit = SILENCE_DBFS if not len(levels) else max(SILENCE_DBFS, np.quantile(levels, 0.95) + SILENCE_BELOW_LOUD_DB)
    return _long_runs(levels < limit)


def _long_runs(silent: np.ndarray) -> np.ndarray:
    """Only the runs of True that are long enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(int)))
    kept = np.zeros_like(silent)
    for first, end in edges.reshape(-1, 2):
        kept[first:end] = end - first >= MIN_SILENCE_FRAMES
    return kept
