"""LSE-C, LSE-D and offset by the SyncNet of 2016."""

import statistics

from ...errors import AudioTooShortError, NoAudioError
from ..aligned_frames import NotMeasurable
from ..syncnet2016.network import SyncNet2016
from ..syncnet2016.protocols import score_clip
from .group import ClipView, MeasureGroup


class LseGroup(MeasureGroup):
    """`lse_c`, `lse_d`, `lse_offset`: of the whole frame, or the mean over the face tracks of the clip.

    The protocols read the video themselves, at 25 frames per second.
    """

    def __init__(self, view: ClipView, syncnet: SyncNet2016, protocol: str):
        self._view, self._syncnet, self._protocol = view, syncnet, protocol

    def values(self) -> dict[str, float]:
        """Scores of the clip."""
        try:
            found = score_clip(self._view.output, self._syncnet, self._protocol, self._view.speech)
        except (NoAudioError, AudioTooShortError, ValueError) as error:
            raise NotMeasurable(str(error)) from error
        scores = [track.score for track in found] if isinstance(found, list) else [found]
        if not scores:
            raise NotMeasurable("has no face track of 100 frames; --protocol wav2lip needs none")
        return {
            "lse_c": statistics.fmean(score.lse_c for score in scores),
            "lse_d": statistics.fmean(score.lse_d for score in scores),
            "lse_offset": statistics.fmean(score.offset_frames for score in scores),
        }
